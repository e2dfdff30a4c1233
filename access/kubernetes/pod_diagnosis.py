"""Why a pod does not get ready, in one sentence: which object, what the cluster reports of it, what to do; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

ADVICE = {
    "ErrImagePull": "mend the image in the stack file, or give the cluster access to its registry",
    "ImagePullBackOff": "mend the image in the stack file, or give the cluster access to its registry",
    "InvalidImageName": "mend the image in the stack file",
    "CreateContainerConfigError": "see the object it names: a Secret or ConfigMap is missing, or an image runs as root",
    "CrashLoopBackOff": "see kubectl logs --previous of this pod",
}


def diagnose(pod: Mapping[str, Any] | None, events: Iterable[Mapping[str, Any]] = ()) -> str:
    """`pod` and `events` as the API sends them; empty when nothing is wrong but that it is not ready yet."""
    if pod is None:
        return _not_created(events)
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return (
                f"pod {name} finds no machine: {condition.get('message', condition.get('reason'))}; add machines or "
                "room, or change rag-platform:kubernetesSpread, kubernetesZoneKey, the memory or the storage class"
            )
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if advice := ADVICE.get(waiting.get("reason", "")):
            last = (container.get("lastState") or {}).get("terminated") or {}
            ended = f", it ended with {last['exitCode']}" if last else ""
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"pod {name}, image {container.get('image')}: {waiting['reason']}{ended}{message}; {advice}"
    return ""


def _not_created(events: Iterable[Mapping[str, Any]]) -> str:
    """Why no pod was created: the last warning of its controller (a quota, an admission, a claim)."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return ""
    last = warnings[-1]
    involved = last.get("involvedObject") or {}
    return (
        f"{involved.get('kind', 'object')} {involved.get('name', '')} makes no pod: {last.get('reason')}: "
        f"{last.get('message')}"
    )


def is_ready(pod: Mapping[str, Any] | None) -> bool:
    """Ready, and not being deleted."""
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def has_started(pod: Mapping[str, Any]) -> bool:
    """Whether any container of it has ever run."""
    return any(
        (container.get("state") or {}).keys() & {"running", "terminated"} or container.get("lastState")
        for container in (pod.get("status") or {}).get("containerStatuses") or []
    )
