"""Steps that a running cluster cannot take."""

import pytest

from policies.reliability.transition_rules import peer_tls_stays_as_it_is, upgrades_skip_no_minor_version
from policies.rule import Subject

KIND = "rag:components:QdrantCluster"


def cluster(image: str = "qdrant/qdrant:v1.18.3", **env: str) -> Subject:
    return Subject(type=KIND, name="qdrant", inputs={"workloads": {"qdrant": {"image": image, "env": env}}})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("qdrant/qdrant:v1.18.3", "qdrant/qdrant:v1.19.2", ""),
        ("qdrant/qdrant:v1.18.3", "mirror.example/qdrant/qdrant:v1.18.9@sha256:aa", ""),
        ("qdrant/qdrant:v1.17.1", "qdrant/qdrant:v1.19.2", "go to 1.18 first"),
        ("qdrant/qdrant:v1.19.2", "qdrant/qdrant:v1.18.3", "restore a snapshot"),
        ("qdrant/qdrant:v1.19.2", "qdrant/qdrant:v2.0.0", "go to 1.20 first"),
        ("sandbox/qdrant:0669", "qdrant/qdrant:v1.19.2", ""),  # an image that does not say
    ],
)
def test_an_upgrade_goes_one_minor_version_at_a_time(old: str, new: str, said: str) -> None:
    found = list(upgrades_skip_no_minor_version.check(cluster(old), cluster(new)))
    assert bool(found) is bool(said)
    assert all(said in violation.text for violation in found)


@pytest.mark.parametrize(("old", "new", "wrong"), [("", "", 0), ("true", "true", 0), ("", "true", 1), ("true", "", 1)])
def test_tls_between_the_nodes_is_not_switched(old: str, new: str, wrong: int) -> None:
    key = "QDRANT__CLUSTER__P2P__ENABLE_TLS"
    before, after = (cluster(**({key: value} if value else {})) for value in (old, new))
    assert len(list(peer_tls_stays_as_it_is.check(before, after))) == wrong
