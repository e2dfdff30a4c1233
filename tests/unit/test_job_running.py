"""A Job runs to its end and leaves nothing; one that does not end well says why."""

from collections.abc import Mapping
from typing import Any

import pytest

from access.kubernetes.job_running import Clock, run_to_end
from providers.job_once import JobOnceProvider


class FakeJob:
    """A Job that ends after a few looks, if it does."""

    def __init__(self, *, ends: str = "succeeded", after: int = 3, left_over: bool = False) -> None:
        self.ends, self.after = ends, after
        self.there, self.started, self.looks = left_over, 0, 0
        self.all_pods: list[Mapping[str, Any]] = []
        self.replica: Mapping[str, Any] | None = {"metadata": {"name": "qdrant-0"}}
        self.said: list[Mapping[str, Any]] = []

    def start(self) -> None:
        assert not self.there, "a Job of that name is there"
        self.there, self.started = True, self.started + 1

    def job(self) -> Mapping[str, Any] | None:
        if not self.there:
            return None
        self.looks += 1
        ended = self.looks > self.after
        status = {
            "succeeded": {"succeeded": 1},
            "failed": {"conditions": [{"type": "Failed", "status": "True"}]},
            "never": {},
        }
        return {"metadata": {"name": "founding"}, "status": status[self.ends] if ended else {}}

    def followed(self) -> Mapping[str, Any] | None:
        return self.replica

    def events(self) -> list[Mapping[str, Any]]:
        return self.said

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


def clock() -> Clock:
    seconds = [0.0]
    return Clock(now=lambda: seconds[0], pause=lambda more: seconds.__setitem__(0, seconds[0] + more))


def test_a_job_that_succeeds_leaves_nothing() -> None:
    job = FakeJob()
    run_to_end(job, 300, clock())
    assert (job.started, job.there) == (1, False)


def test_what_an_interrupted_run_left_goes_first() -> None:
    job = FakeJob(left_over=True)
    run_to_end(job, 300, clock())
    assert job.started == 1


def test_a_failed_job_says_its_last_words_and_leaves_nothing() -> None:
    job = FakeJob(ends="failed")
    with pytest.raises(RuntimeError, match="founding to succeed, found it failed: touch: read-only"):
        run_to_end(job, 300, clock())
    assert not job.there


def test_a_job_whose_pod_finds_no_machine_ends_with_that() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "0/3 nodes: no memory")]
    with pytest.raises(TimeoutError, match="founding-x finds no machine: 0/3 nodes: no memory"):
        run_to_end(job, 300, clock())


def test_the_trouble_of_the_pod_that_it_follows_comes_first() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "no pod to follow")]
    job.replica = homeless("qdrant-0", "0/3 nodes: no memory")
    with pytest.raises(TimeoutError, match="s: pod qdrant-0 finds no machine: 0/3 nodes: no memory"):
        run_to_end(job, 300, clock())


def test_once_the_pod_that_it_follows_has_started_its_own_trouble_comes_first() -> None:
    job = FakeJob(ends="never")
    job.all_pods = [homeless("founding-x", "0/3 nodes: no memory")]
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"state": waiting, "lastState": {"terminated": {"exitCode": 1}}, "image": "qdrant"}
    job.replica = {"metadata": {"name": "qdrant-0"}, "status": {"containerStatuses": [ended]}}
    with pytest.raises(TimeoutError, match="founding-x finds no machine: 0/3 nodes: no memory"):
        run_to_end(job, 300, clock())
    job.all_pods = [{"metadata": {"name": "founding-x"}}]
    with pytest.raises(TimeoutError, match="pod qdrant-0, image qdrant: CrashLoopBackOff"):
        run_to_end(job, 300, clock())


def test_a_pod_to_follow_that_is_not_made_is_not_waited_for_to_the_end() -> None:
    job, time = FakeJob(ends="never"), clock()
    job.replica = None
    with pytest.raises(TimeoutError, match="the pod that it follows was not made"):
        run_to_end(job, 3000, time)
    assert time.now() < 100
    quota = {"kind": "StatefulSet", "name": "qdrant"}
    job.said = [{"type": "Warning", "involvedObject": quota, "reason": "FailedCreate", "message": "exceeded quota"}]
    with pytest.raises(TimeoutError, match="StatefulSet qdrant makes no pod: FailedCreate: exceeded quota"):
        run_to_end(job, 3000, clock())


def test_where_an_interrupted_run_has_done_it_nothing_is_run_again() -> None:
    job = FakeJob()
    job.replica = {"metadata": {"name": "qdrant-0"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    run_to_end(job, 300, clock())
    assert job.started == 0


def test_what_is_done_once_is_not_done_again_whatever_changes() -> None:
    assert (
        not JobOnceProvider().diff("", {"manifest": {}, "context": "a"}, {"manifest": {"x": 1}, "context": "b"}).changes
    )
