"""Replacing one pod of a StatefulSet that replaces none by itself; what `PodRolled` does, without Pulumi."""

from collections.abc import Mapping
from typing import Any, Protocol

from access.kubernetes.pod_diagnosis import diagnose, is_ready
from access.polling import SYSTEM_CLOCK, Clock, NotYet, poll

PAUSE_SECONDS = 0.25
REVISION = "controller-revision-hash"


class PodSource(Protocol):
    """The part of a cluster that a pod is replaced in, in the spelling of its API."""

    @property
    def name(self) -> str: ...

    def stateful_set(self) -> Mapping[str, Any]: ...

    def pod(self) -> Mapping[str, Any] | None: ...

    def events(self) -> list[Mapping[str, Any]]: ...

    def delete_pod(self, uid: str) -> None: ...


def roll(source: PodSource, timeout_seconds: float, clock: Clock = SYSTEM_CLOCK) -> str:
    """Replace the pod unless it is of the newest revision already; returns its uid once it is ready.

    TimeoutError with the diagnosis when it is not ready in time; nothing else has been touched then.
    """
    deleted = ""

    def ready_uid() -> str:
        nonlocal deleted
        newest, pod = _newest(source.stateful_set()), source.pod()
        if newest and pod:
            uid = str(pod["metadata"]["uid"])
            if _revision(pod) == newest and is_ready(pod):
                return uid
            if _revision(pod) != newest and uid != deleted:
                deleted = uid
                source.delete_pod(uid)
        diagnosis = diagnose(pod, () if pod else source.events())
        raise NotYet(diagnosis or "it runs and its probe does not answer yet; see kubectl logs")

    return poll(
        ready_uid,
        timeout_seconds,
        expected=f"pod {source.name} to be ready",
        advice="No other pod has been touched; mend it and run the same command again",
        interval_seconds=PAUSE_SECONDS,
        clock=clock,
    )


def _newest(stateful_set: Mapping[str, Any]) -> str:
    """The revision that pods should have; empty while the controller has not processed the last change."""
    status = stateful_set.get("status") or {}
    current = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    return str(status.get("updateRevision") or "") if current else ""


def _revision(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION, ""))
