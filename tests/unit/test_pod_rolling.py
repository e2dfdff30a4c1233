"""One pod of a StatefulSet is replaced, and only when it must be; what does not get ready is diagnosed."""

from collections.abc import Mapping
from typing import Any

import pytest

from access.kubernetes.pod_rolling import roll
from tests.unit.fake_time import FakeTime


class FakeCluster:
    """A StatefulSet that makes a deleted pod again, of the newest revision, ready after a few reads."""

    name = "qdrant-1"

    def __init__(self, *, running: str, newest: str, ready_after: int = 2, observed: bool = True) -> None:
        self.newest, self.observed, self.ready_after = newest, observed, ready_after
        self.made, self.reads, self.deleted = 0, 0, list[str]()
        self._revision: str | None = running
        self.waiting: dict[str, str] = {}
        self.warnings: list[Mapping[str, Any]] = []

    def stateful_set(self) -> Mapping[str, Any]:
        generation = {"generation": 2, "name": "qdrant"}
        return {"metadata": generation, "status": {"observedGeneration": 2 if self.observed else 1,
                                                   "updateRevision": self.newest}}  # fmt: skip

    def pod(self) -> Mapping[str, Any] | None:
        self.reads += 1
        if self._revision is None:
            return None
        ready = (self.reads > self.ready_after or self.made == 0) and not self.waiting
        status: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        if self.waiting:
            status["containerStatuses"] = [{"image": "qdrant:nope", "state": {"waiting": self.waiting}}]
        labels = {"controller-revision-hash": self._revision}
        return {"metadata": {"name": "qdrant-1", "uid": f"uid-{self.made}", "labels": labels}, "status": status}

    def events(self) -> list[Mapping[str, Any]]:
        return self.warnings

    def delete_pod(self, uid: str) -> None:
        self.deleted.append(uid)
        self.made, self.reads, self._revision = self.made + 1, 0, self.newest

    def lose(self) -> None:
        self._revision = None


def rolled(cluster: FakeCluster, timeout_seconds: float = 60) -> str:
    return roll(cluster, timeout_seconds, FakeTime().clock)


def test_a_pod_of_an_older_revision_is_replaced_once_and_waited_for() -> None:
    cluster = FakeCluster(running="old", newest="new", ready_after=9)
    assert rolled(cluster) == "uid-1"
    assert cluster.deleted == ["uid-0"]


def test_a_pod_of_the_newest_revision_is_left_alone() -> None:
    cluster = FakeCluster(running="new", newest="new")
    assert rolled(cluster) == "uid-0"
    assert cluster.deleted == []


def test_a_change_that_the_controller_has_not_processed_yet_deletes_no_pod() -> None:
    cluster = FakeCluster(running="old", newest="old", observed=False)
    with pytest.raises(TimeoutError):
        rolled(cluster)
    assert cluster.deleted == []


@pytest.mark.parametrize(
    ("waiting", "diagnosis"),
    [
        (
            {"reason": "ImagePullBackOff", "message": "not found"},
            "image qdrant:nope: ImagePullBackOff: not found; mend",
        ),
        ({"reason": "CrashLoopBackOff"}, "kubectl logs --previous"),
    ],
)
def test_a_pod_that_does_not_get_ready_is_reported_with_its_image_and_what_to_do(
    waiting: dict[str, str], diagnosis: str
) -> None:
    cluster = FakeCluster(running="old", newest="new")
    cluster.waiting = waiting
    time = FakeTime()
    with pytest.raises(TimeoutError, match=diagnosis) as ended:
        roll(cluster, 30, time.clock)
    assert time.seconds < 31
    assert "qdrant-1" in str(ended.value)
    assert "run the same command again" in str(ended.value)


def test_a_pod_that_is_not_created_is_reported_with_its_controllers_event() -> None:
    cluster = FakeCluster(running="old", newest="new")
    cluster.lose()
    cluster.warnings = [{"type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: memory",
                     "involvedObject": {"kind": "StatefulSet", "name": "qdrant"}}]  # fmt: skip
    with pytest.raises(TimeoutError, match="StatefulSet qdrant makes no pod: FailedCreate: exceeded quota"):
        rolled(cluster)


def test_the_next_run_resumes_an_interrupted_one() -> None:
    cluster = FakeCluster(running="old", newest="new", ready_after=1000)
    with pytest.raises(TimeoutError):
        rolled(cluster, timeout_seconds=5)
    cluster.ready_after = 0
    assert rolled(cluster) == "uid-1"
    assert cluster.deleted == ["uid-0"]
