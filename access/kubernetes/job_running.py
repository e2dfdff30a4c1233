"""Running one Job to its end in a cluster; what `JobOnce` does, without Pulumi."""

from collections.abc import Mapping
from typing import Any, Protocol

from access.kubernetes.pod_diagnosis import diagnose, has_started, is_ready
from access.polling import SYSTEM_CLOCK, Clock, NotYet, poll, require

REMOVAL_SECONDS = 300
CREATION_SECONDS = 60  # how long the followed pod may not exist


class JobSource(Protocol):
    """The part of a cluster that a Job is run in, in the spelling of its API."""

    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def job(self) -> Mapping[str, Any] | None: ...

    def pods(self) -> list[Mapping[str, Any]]: ...

    def followed(self) -> Mapping[str, Any] | None: ...

    def events(self) -> list[Mapping[str, Any]]: ...

    def log(self) -> str: ...

    def remove(self) -> None: ...


def run_to_end(source: JobSource, timeout_seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
    """Return when the Job has succeeded, leaving nothing of it; RuntimeError or TimeoutError with the diagnosis if not.

    When the followed pod is ready, nothing is run: an interrupted run has done it.
    """
    _remove_left_over(source, clock)
    if is_ready(source.followed()):
        return
    source.start()
    try:
        _await_success(source, timeout_seconds, clock)
    finally:
        source.remove()  # its pod would hold its disk


def _remove_left_over(source: JobSource, clock: Clock) -> None:
    def gone() -> None:
        require(source.job() is None, "it still there")

    source.remove()
    expected = f"Job {source.name} of an interrupted run to be removed"
    poll(gone, REMOVAL_SECONDS, expected=expected, advice="Delete it", clock=clock)


def _await_success(source: JobSource, timeout_seconds: float, clock: Clock) -> None:
    began = clock.now()

    def succeeded() -> None:
        status = (source.job() or {}).get("status") or {}
        if status.get("succeeded"):
            return
        if any(entry["type"] == "Failed" and entry["status"] == "True" for entry in status.get("conditions") or []):
            raise RuntimeError(f"expected Job {source.name} to succeed, found it failed: {source.log()}")
        followed = source.followed()
        diagnosis = _diagnosis(source, followed)
        if followed is None and clock.now() - began > CREATION_SECONDS:
            raise TimeoutError(f"expected Job {source.name} to end, found after {CREATION_SECONDS} s {diagnosis}")
        raise NotYet(diagnosis)

    poll(succeeded, timeout_seconds, expected=f"Job {source.name} to end", clock=clock)


def _diagnosis(source: JobSource, followed: Mapping[str, Any] | None) -> str:
    """Of the followed pod until it has started, because the Job waits for it; then of the Job's own pod."""
    if followed is None:
        return diagnose(None, source.events()) or "that the pod it follows was not created, nor maybe its controller"
    own = source.pods()
    diagnoses = [diagnose(followed), diagnose(own[-1]) if own else "no pod of it"]
    if has_started(followed):
        diagnoses.reverse()
    return next(filter(None, diagnoses), "it still runs")
