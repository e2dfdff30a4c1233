"""Replacing one pod of a StatefulSet that replaces none by itself; what `PodRolled` does, without Pulumi."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from access.kubernetes.pod_diagnosis import diagnose, is_ready

PAUSE_SECONDS = 0.25
REVISION = "controller-revision-hash"


class PodSource(Protocol):
    """The part of a cluster that is looked at, in the spelling of its API."""

    def stateful_set(self) -> Mapping[str, Any]: ...

    def pod(self) -> Mapping[str, Any] | None: ...

    def events(self) -> list[Mapping[str, Any]]: ...

    def delete_pod(self, uid: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long to wait, and by which clock."""

    timeout_seconds: float
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def roll(cluster: PodSource, timeouts: Timeouts) -> str:
    """Replace the pod unless it is of the newest revision already; returns its uid once it is ready.

    TimeoutError, with what is wrong, when it is not ready in time; nothing else has been touched then.
    """
    deadline = timeouts.now() + timeouts.timeout_seconds
    asked_to_go = ""
    while True:
        wanted, pod = _newest(cluster.stateful_set()), cluster.pod()
        if wanted and pod and _revision(pod) == wanted and is_ready(pod):
            return str(pod["metadata"]["uid"])
        if wanted and pod and _revision(pod) != wanted and pod["metadata"]["uid"] != asked_to_go:
            asked_to_go = str(pod["metadata"]["uid"])
            cluster.delete_pod(asked_to_go)
        if timeouts.now() > deadline:
            raise TimeoutError(_reason(cluster, timeouts.timeout_seconds))
        timeouts.pause(PAUSE_SECONDS)


def _newest(stateful_set: Mapping[str, Any]) -> str:
    """The revision that pods should have; empty while the controller has not seen the last change."""
    status = stateful_set.get("status") or {}
    seen = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    return str(status.get("updateRevision") or "") if seen else ""


def _revision(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION, ""))


def _reason(cluster: PodSource, timeout_seconds: float) -> str:
    pod, name = cluster.pod(), cluster.stateful_set()["metadata"]["name"]
    trouble = diagnose(pod, cluster.events()) or "it runs and its probe does not answer yet; see kubectl logs"
    called = pod["metadata"]["name"] if pod else f"a pod of {name}"
    return (
        f"expected {called} to be ready within {timeout_seconds:.0f} s, found: {trouble}. No other pod has been "
        "touched; mend it and run the same command again"
    )
