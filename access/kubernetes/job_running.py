"""Running one Job to its end in a cluster; what `JobOnce` does, without Pulumi."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from access.kubernetes.pod_diagnosis import diagnose, has_started, is_ready

PAUSE_SECONDS = 0.5
GOING_SECONDS = 300
UNMADE_SECONDS = 60  # how long the pod that is followed may not even be made


class JobSource(Protocol):
    """The part of a cluster that a Job is run in, in the spelling of its API."""

    def start(self) -> None: ...

    def job(self) -> Mapping[str, Any] | None: ...

    def pods(self) -> list[Mapping[str, Any]]: ...

    def followed(self) -> Mapping[str, Any] | None: ...

    def events(self) -> list[Mapping[str, Any]]: ...

    def log(self) -> str: ...

    def remove(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, as it is waited by."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def run_to_end(source: JobSource, timeout_seconds: float, clock: Clock | None = None) -> None:
    """Return when the Job has succeeded, leaving nothing of it; RuntimeError or TimeoutError with the reason if not.

    A pod to follow that is ready needs nothing: an interrupted run has done it, and nothing is run again.
    """
    clock = clock or Clock()
    _gone(source, clock)  # of an interrupted run
    if is_ready(source.followed()):
        return
    source.start()
    try:
        _await_success(source, timeout_seconds, clock)
    finally:
        source.remove()  # its pod would hold its disk


def _gone(source: JobSource, clock: Clock) -> None:
    deadline = clock.now() + GOING_SECONDS
    source.remove()
    while source.job() is not None:
        if clock.now() > deadline:
            raise TimeoutError("expected the Job of an interrupted run to go, found it still there; delete it")
        clock.pause(PAUSE_SECONDS)


def _await_success(source: JobSource, timeout_seconds: float, clock: Clock) -> None:
    began = clock.now()
    while True:
        job = source.job() or {}
        status = job.get("status") or {}
        name = (job.get("metadata") or {}).get("name", "the Job")
        if status.get("succeeded"):
            return
        if any(entry["type"] == "Failed" and entry["status"] == "True" for entry in status.get("conditions") or []):
            raise RuntimeError(f"expected Job {name} to succeed, found it failed: {source.log()}")
        waited, followed = clock.now() - began, source.followed()
        if waited > timeout_seconds or (followed is None and waited > UNMADE_SECONDS):
            raise TimeoutError(f"expected Job {name} to end, found after {waited:.0f} s: {_trouble(source, followed)}")
        clock.pause(PAUSE_SECONDS)


def _trouble(source: JobSource, followed: Mapping[str, Any] | None) -> str:
    """Of the pod that it follows, until that one has started: what it waits for then is this Job, which says why."""
    if followed is None:
        return diagnose(None, source.events()) or "the pod that it follows was not made, nor maybe what makes it"
    own = source.pods()
    troubles = [diagnose(followed), diagnose(own[-1]) if own else "no pod of it"]
    if has_started(followed):
        troubles.reverse()
    return next(filter(None, troubles), "it still runs")
