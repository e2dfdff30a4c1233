"""An engine's error becomes a sentence where its meaning is known, and stays what it was where it is not."""

import pytest

from ops.reasons import plain

PULL = (
    "sdk.helper_schema: unable to pull image grafana/grafana:12: error pulling image grafana/grafana:12: no such host"
)
TRACE = """Traceback (most recent call last):
  File "a.py", line 1, in create
    wait()
TimeoutError: expected a settled cluster within 3 s, found: n1 does not answer
update failed"""


def test_a_missing_image_is_named_with_what_to_do() -> None:
    [reason] = plain([PULL, f"1 error occurred:\n\t* {PULL}", "update failed"])
    assert reason.startswith("expected image grafana/grafana:12 on this machine")


def test_of_a_traceback_only_the_message_is_left() -> None:
    assert plain([TRACE]) == ["expected a settled cluster within 3 s, found: n1 does not answer"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("[Pod rag-prod/kong-7d]: containers with unready status: [kong] -- Back-off pulling image \"kong:9\"",
         "pod rag-prod/kong-7d finds its image nowhere"),
        ("[kong]: FailedScheduling: 0/3 nodes are available: 3 Insufficient memory.",
         "a pod finds no machine: 0/3 nodes are available: 3 Insufficient memory."),
        ('namespaces is forbidden: User "eve" cannot create resource "namespaces"', "the cluster refuses: "),
        ("configured Kubernetes cluster is unreachable: dial tcp: i/o timeout", "expected a cluster that answers"),
    ],
)  # fmt: skip
def test_what_a_cluster_says_becomes_a_sentence_with_what_to_do(said: str, meant: str) -> None:
    [reason] = plain([said])
    assert meant in reason
    assert reason != said


def test_a_sentence_of_our_own_keeps_the_object_that_it_names() -> None:
    ours = "expected Job qdrant-founding to end, found: pod qdrant-founding-x: 0/3 nodes are available: 3 Insufficient"
    assert plain([f"Traceback (most recent call last):\n  File\nTimeoutError: {ours}\nupdate failed"]) == [ours]


def test_what_is_not_known_is_not_changed() -> None:
    assert plain(["the moon is in the wrong quarter"]) == ["the moon is in the wrong quarter"]
