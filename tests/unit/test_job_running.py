"""A Job runs to its end and leaves nothing; one that fails is an error with the reason."""

from collections.abc import Mapping
from typing import Any

import pytest

from access.kubernetes.job_running import run_to_end
from providers.job_once import JobOnceProvider
from tests.unit.fake_time import FakeTime


class FakeJob:
    """A Job that ends after a few reads, if it does."""

    name = "founding"

    def __init__(self, *, ends: str = "succeeded", after: int = 3, left_over: bool = False) -> None:
        self.ends, self.after = ends, after
        self.there, self.started, self.reads = left_over, 0, 0
        self.all_pods: list[Mapping[str, Any]] = []
        self.replica: Mapping[str, Any] | None = {"metadata": {"name": "qdrant-0"}}
        self.warnings: list[Mapping[str, Any]] = []

    def start(self) -> None:
        assert not self.there, "a Job of that name is there"
        self.there, self.started = True, self.started + 1

    def job(self) -> Mapping[str, Any] | None:
        if not self.there:
            return None
        self.reads += 1
        ended = self.reads > self.after
        status = {
            "succeeded": {"succeeded": 1},
            "failed": {"conditions": [{"type": "Failed", "status": "True"}]},
            "never": {},
        }
        return {"metadata": {"name": "founding"}, "status": status[self.ends] if ended else {}}

    def followed(self) -> Mapping[str, Any] | None:
        return self.replica

    def events(self) -> list[Mapping[str, Any]]:
        return self.warnings

    def pods(self) -> list[Mapping[str, Any]]:
        return self.all_pods

    def log(self) -> str:
        return "touch: read-only file system"

    def remove(self) -> None:
        self.there = False


def homeless(name: str, why: str) -> Mapping[str, Any]:
    """A pod that finds no machine."""
    conditions = [{"type": "PodScheduled", "status": "False", "message": why}]
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


def run(job: FakeJob, timeout_seconds: float = 300) -> None:
    run_to_end(job, timeout_seconds, FakeTime().clock)


def test_a_job_that_succeeds_leaves_nothing() -> None:
    job = FakeJob()
    run(job)
    assert (job.started, job.there) == (1, False)


def test_the_job_of_an_interrupted_run_is_removed_first() -> None:
    job = FakeJob(left_over=True)
    run(job)
    assert job.started == 1


def test_a_failed_job_is_reported_with_the_end_of_its_log_and_leaves_nothing() -> None:
    job = FakeJob(ends="failed")
    with pytest.raises(RuntimeError, match="founding to succeed, found it failed: touch: read-only"):
        run(job)
    assert not job.there


def test_a_pod_that_cannot_be_scheduled_is_reported() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "0/3 nodes: no memory")]
    with pytest.raises(TimeoutError, match="founding-x finds no machine: 0/3 nodes: no memory"):
        run(job)


def test_the_diagnosis_of_the_followed_pod_comes_first() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "no pod to follow")]
    job.replica = homeless("qdrant-0", "0/3 nodes: no memory")
    with pytest.raises(TimeoutError, match="within 300 s, found pod qdrant-0 finds no machine: 0/3 nodes: no memory"):
        run(job)


def test_once_the_followed_pod_has_started_the_diagnosis_of_its_own_pod_comes_first() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "0/3 nodes: no memory")]
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"state": waiting, "lastState": {"terminated": {"exitCode": 1}}, "image": "qdrant"}
    job.replica = {"metadata": {"name": "qdrant-0"}, "status": {"containerStatuses": [ended]}}
    with pytest.raises(TimeoutError, match="founding-x finds no machine: 0/3 nodes: no memory"):
        run(job)
    job.all_pods = [{"metadata": {"name": "founding-x"}}]
    with pytest.raises(TimeoutError, match="pod qdrant-0, image qdrant: CrashLoopBackOff"):
        run(job)


def test_a_followed_pod_that_is_not_created_ends_the_wait_early() -> None:
    job, time = FakeJob(ends="never"), FakeTime()
    job.replica = None
    with pytest.raises(TimeoutError, match="the pod it follows was not created"):
        run_to_end(job, 3000, time.clock)
    assert time.seconds < 100
    quota = {"kind": "StatefulSet", "name": "qdrant"}
    job.warnings = [{"type": "Warning", "involvedObject": quota, "reason": "FailedCreate", "message": "exceeded quota"}]
    with pytest.raises(TimeoutError, match="StatefulSet qdrant makes no pod: FailedCreate: exceeded quota"):
        run(job, 3000)


def test_nothing_is_run_again_after_an_interrupted_run_that_succeeded() -> None:
    job = FakeJob()
    job.replica = {"metadata": {"name": "qdrant-0"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    run(job)
    assert job.started == 0


def test_no_change_of_inputs_runs_the_job_again() -> None:
    assert (
        not JobOnceProvider().diff("", {"manifest": {}, "context": "a"}, {"manifest": {"x": 1}, "context": "b"}).changes
    )
