"""One pod of a StatefulSet is replaced, and only when it must be; what does not get ready is said in a sentence."""

from collections.abc import Mapping
from typing import Any

import pytest

from access.kubernetes.pod_rolling import Timeouts, roll


class FakeCluster:
    """A StatefulSet that makes a deleted pod again, of the newest revision, ready after a few looks."""

    def __init__(self, *, running: str, newest: str, ready_after: int = 2, seen: bool = True) -> None:
        self.newest, self.seen, self.ready_after = newest, seen, ready_after
        self.made, self.looks, self.deleted = 0, 0, list[str]()
        self._revision: str | None = running
        self.waiting: dict[str, str] = {}
        self.said: list[Mapping[str, Any]] = []

    def stateful_set(self) -> Mapping[str, Any]:
        generation = {"generation": 2, "name": "qdrant"}
        return {"metadata": generation, "status": {"observedGeneration": 2 if self.seen else 1,
                                                   "updateRevision": self.newest}}  # fmt: skip

    def pod(self) -> Mapping[str, Any] | None:
        self.looks += 1
        if self._revision is None:
            return None
        ready = (self.looks > self.ready_after or self.made == 0) and not self.waiting
        status: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        if self.waiting:
            status["containerStatuses"] = [{"image": "qdrant:nope", "state": {"waiting": self.waiting}}]
        labels = {"controller-revision-hash": self._revision}
        return {"metadata": {"name": "qdrant-1", "uid": f"uid-{self.made}", "labels": labels}, "status": status}

    def events(self) -> list[Mapping[str, Any]]:
        return self.said

    def delete_pod(self, uid: str) -> None:
        self.deleted.append(uid)
        self.made, self.looks, self._revision = self.made + 1, 0, self.newest

    def lose(self) -> None:
        self._revision = None


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def timeouts(self, timeout_seconds: float = 60) -> Timeouts:
        return Timeouts(timeout_seconds=timeout_seconds, now=lambda: self.seconds, pause=self.pause)


def test_a_pod_of_an_older_revision_is_replaced_once_and_waited_for() -> None:
    cluster = FakeCluster(running="old", newest="new", ready_after=9)
    assert roll(cluster, Clock().timeouts()) == "uid-1"
    assert cluster.deleted == ["uid-0"]


def test_a_pod_of_the_newest_revision_is_left_alone() -> None:
    cluster = FakeCluster(running="new", newest="new")
    assert roll(cluster, Clock().timeouts()) == "uid-0"
    assert cluster.deleted == []


def test_no_pod_is_judged_by_a_revision_that_the_controller_has_not_seen_yet() -> None:
    cluster = FakeCluster(running="old", newest="old", seen=False)
    with pytest.raises(TimeoutError):
        roll(cluster, Clock().timeouts())
    assert cluster.deleted == []


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (
            {"reason": "ImagePullBackOff", "message": "not found"},
            "image qdrant:nope: ImagePullBackOff: not found; mend",
        ),
        ({"reason": "CrashLoopBackOff"}, "kubectl logs --previous"),
    ],
)
def test_a_pod_that_does_not_get_ready_is_said_with_the_image_and_what_to_do(
    waiting: dict[str, str], said: str
) -> None:
    cluster = FakeCluster(running="old", newest="new")
    cluster.waiting = waiting
    clock = Clock()
    with pytest.raises(TimeoutError, match=said) as ended:
        roll(cluster, clock.timeouts(timeout_seconds=30))
    assert clock.seconds < 31
    assert "qdrant-1" in str(ended.value)
    assert "run the same command again" in str(ended.value)


def test_a_pod_that_is_not_even_made_is_said_with_its_controllers_event() -> None:
    cluster = FakeCluster(running="old", newest="new")
    cluster.lose()
    cluster.said = [{"type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: memory",
                     "involvedObject": {"kind": "StatefulSet", "name": "qdrant"}}]  # fmt: skip
    with pytest.raises(TimeoutError, match="StatefulSet qdrant makes no pod: FailedCreate: exceeded quota"):
        roll(cluster, Clock().timeouts())


def test_an_interrupted_roll_is_gone_on_with() -> None:
    cluster = FakeCluster(running="old", newest="new", ready_after=1000)
    with pytest.raises(TimeoutError):
        roll(cluster, Clock().timeouts(timeout_seconds=5))
    cluster.ready_after = 0
    assert roll(cluster, Clock().timeouts()) == "uid-1"
    assert cluster.deleted == ["uid-0"]
