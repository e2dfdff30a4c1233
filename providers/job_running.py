"""Running one Job to its end in a cluster; what `JobOnce` does, without Pulumi."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from providers.pod_trouble import trouble_of

PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 300


class JobSource(Protocol):
    """The part of a cluster that a Job is run in, in the spelling of its API."""

    def start(self) -> None: ...

    def job(self) -> Mapping[str, Any] | None: ...

    def followed(self) -> Mapping[str, Any] | None: ...

    def pods(self) -> list[Mapping[str, Any]]: ...

    def log(self) -> str: ...

    def remove(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, as it is waited by."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def run_to_end(source: JobSource, clock: Clock | None = None) -> None:
    """Return when the Job has succeeded, leaving nothing of it; RuntimeError or TimeoutError with the reason if not."""
    clock = clock or Clock()
    _gone(source, clock)  # of an interrupted run
    source.start()
    try:
        _await_success(source, clock)
    finally:
        source.remove()  # its pod would hold its disk


def _gone(source: JobSource, clock: Clock) -> None:
    deadline = clock.now() + PATIENCE_SECONDS
    source.remove()
    while source.job() is not None:
        if clock.now() > deadline:
            raise TimeoutError("expected the Job of an interrupted run to go, found it still there; delete it")
        clock.pause(PAUSE_SECONDS)


def _await_success(source: JobSource, clock: Clock) -> None:
    deadline = clock.now() + PATIENCE_SECONDS
    while True:
        job = source.job() or {}
        status = job.get("status") or {}
        name = (job.get("metadata") or {}).get("name", "the Job")
        if status.get("succeeded"):
            return
        if any(entry["type"] == "Failed" and entry["status"] == "True" for entry in status.get("conditions") or []):
            raise RuntimeError(f"expected Job {name} to succeed, found it failed: {source.log()}")
        if clock.now() > deadline:
            raise TimeoutError(f"expected Job {name} to end within {PATIENCE_SECONDS} s, found: {_trouble(source)}")
        clock.pause(PAUSE_SECONDS)


def _trouble(source: JobSource) -> str:
    """Of the pod that it follows, or else of its own."""
    followed, own = source.followed(), source.pods()
    if followed is None:
        return "the pod that it follows is not there; see the events of its StatefulSet"
    return trouble_of(followed) or (trouble_of(own[-1]) if own else "no pod of it") or "it still runs"
