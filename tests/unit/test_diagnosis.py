"""An engine's error becomes one sentence where its meaning is known, and stays as it is where it is not."""

import pytest

from ops.diagnosis import diagnosis

PULL = (
    "sdk.helper_schema: unable to pull image grafana/grafana:12: error pulling image grafana/grafana:12: no such host"
)
TRACE = """Traceback (most recent call last):
  File "a.py", line 1, in create
    wait()
TimeoutError: expected a settled cluster within 3 s, found: n1 does not answer
update failed"""


def test_a_missing_image_is_named_with_what_to_do() -> None:
    [reason] = diagnosis([PULL, f"1 error occurred:\n\t* {PULL}", "update failed"])
    assert reason.startswith("expected image grafana/grafana:12 on this machine")


def test_of_a_traceback_only_the_message_is_left() -> None:
    assert diagnosis([TRACE]) == ["expected a settled cluster within 3 s, found: n1 does not answer"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("[Pod rag-prod/kong-7d]: containers with unready status: [kong] -- Back-off pulling image \"kong:9\"",
         "expected the image of pod rag-prod/kong-7d in a registry"),
        ("[kong]: FailedScheduling: 0/3 nodes are available: 3 Insufficient memory.",
         "expected a machine for the pod, found none: 0/3 nodes are available: 3 Insufficient memory."),
        ('namespaces is forbidden: User "eve" cannot create resource "namespaces"',
         "expected to be allowed, found: namespaces is forbidden"),
        ("configured Kubernetes cluster is unreachable: dial tcp: i/o timeout", "expected a cluster that answers"),
    ],
)  # fmt: skip
def test_an_error_of_a_cluster_becomes_a_sentence_with_what_to_do(error: str, sentence: str) -> None:
    [reason] = diagnosis([error])
    assert sentence in reason
    assert reason != error


def test_a_sentence_of_our_own_keeps_the_object_that_it_names() -> None:
    ours = "expected Job qdrant-founding to end, found: pod qdrant-founding-x: 0/3 nodes are available: 3 Insufficient"
    assert diagnosis([f"Traceback (most recent call last):\n  File\nTimeoutError: {ours}\nupdate failed"]) == [ours]


def test_an_unknown_error_stays_as_it_is() -> None:
    assert diagnosis(["the moon is in the wrong quarter"]) == ["the moon is in the wrong quarter"]
