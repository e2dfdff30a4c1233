"""When the real plugin takes an object to be ready, and its diagnosis while it is not."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kubernetes.api import Api

Object = dict[str, Any]
SETTLED_SECONDS = 10  # how long the real plugin lets a service's endpoints rest before it believes them


class Failed(RuntimeError):
    """It will never get ready, however long one waits."""


def waiting(api: Api, live: Object) -> str:
    """What it waits for; empty when it is ready."""
    check = KINDS.get(live["kind"])
    return check(api, live) if check else ""


def _deployment(api: Api, live: Object) -> str:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "the controller to see it"
    about = {one["type"]: one for one in status.get("conditions", ())}
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    ready = about.get("Available", {}).get("status") == "True"
    if not ready or updated < wanted or total > updated or status.get("readyReplicas", 0) < wanted:
        return f"{status.get('readyReplicas', 0)} of {wanted} replicas ready, {updated} of them updated"
    return ""


def _stateful_set(api: Api, live: Object) -> str:
    """With OnDelete, pods of an older revision are ready enough; with a partition it waits for good."""
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    generation, ready = live["metadata"]["generation"], status.get("readyReplicas", 0)
    if status.get("observedGeneration", 0) < generation:
        return "the controller to see it"
    if status.get("replicas", 0) != wanted or ready != wanted:
        return f"{ready} of {wanted} replicas ready"
    if generation > 1 and live["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return ""
    if status.get("currentRevision") != status.get("updateRevision") or status.get("currentReplicas", 0) != wanted:
        return f"revision {status.get('updateRevision')} to be everywhere"
    return ""


def _job(api: Api, live: Object) -> str:
    about = {one["type"]: one for one in live.get("status", {}).get("conditions", ()) if one["status"] == "True"}
    if failed := about.get("Failed"):
        raise Failed(f"the job failed: {failed.get('reason')}: {failed.get('message')}")
    return "" if "Complete" in about else "the job to complete"


def _pod(api: Api, live: Object) -> str:
    ready = any(
        one["type"] == "Ready" and one["status"] == "True" for one in live.get("status", {}).get("conditions", ())
    )
    return "" if ready or live.get("status", {}).get("phase") == "Succeeded" else "the pod to be ready"


def _claim(api: Api, live: Object) -> str:
    """Bound; or, where volumes wait for their first pod, just made."""
    phase = live.get("status", {}).get("phase")
    if phase == "Bound":
        return ""
    name = live["spec"].get("storageClassName")
    classes = {one["metadata"]["name"]: one for one in api.list("storage.k8s.io/v1", "StorageClass")}
    if name and name not in classes:
        return f"a storage class {name!r}, of which there is none; there are {sorted(classes)}"
    later = classes.get(name, {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    return "" if later and phase == "Pending" else "the claim to be bound to a volume"


def _service(api: Api, live: Object) -> str:
    """None of its pods unready for a while; headless ones, and those without a selector, wait for nothing."""
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not live.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return "an address, which a load balancer must give it"
    if spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName" or not spec.get("selector"):
        return ""
    ready, unready, rested = _endpoints(api, live)
    if unready or rested < SETTLED_SECONDS:
        return f"its pods: {ready} ready, {unready} not"
    return ""


def _endpoints(api: Api, service: Object) -> tuple[int, int, float]:
    """How many addresses are ready, how many are not, and for how many seconds that has been so."""
    where = service["metadata"]["namespace"], service["metadata"]["name"]
    slices = api.list(
        "discovery.k8s.io/v1", "EndpointSlice", where[0], labelSelector=f"kubernetes.io/service-name={where[1]}"
    )
    ends = [one["conditions"].get("ready", True) for part in slices for one in part.get("endpoints") or ()]
    versions = tuple(part["metadata"]["resourceVersion"] for part in slices)
    changed, seen = _RESTING.get(where, (time.monotonic(), None))
    if versions != seen:
        _RESTING[where] = changed, seen = time.monotonic(), versions
    return sum(ends), len(ends) - sum(ends), time.monotonic() - changed


_RESTING: dict[tuple[str, str], tuple[float, Any]] = {}


def _ingress(api: Api, live: Object) -> str:
    given = live.get("status", {}).get("loadBalancer", {}).get("ingress")
    return "" if given else "an address, which an ingress controller must give it"


KINDS: dict[str, Callable[[Api, Object], str]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    "Ingress": _ingress,
}


def diagnosis(api: Api, live: Object) -> Iterator[str]:
    """Why an object is not ready, by its events and its pods."""
    namespace, name = live["metadata"].get("namespace", ""), live["metadata"]["name"]
    pods = [pod for pod in api.list("v1", "Pod", namespace) if name in _line(pod)] if namespace else []
    for pod in pods:
        status = pod.get("status", {})
        for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            for state in one.get("state", {}).values():
                if not one.get("ready") and state.get("reason", "Completed") != "Completed":
                    message = f"{state['reason']}: {state.get('message', '')}"
                    yield f"[Pod {pod['metadata']['name']}]: {one['name']}: {message}"
    about = {name, *(pod["metadata"]["name"] for pod in pods)}
    last: dict[str, str] = {}
    for event in api.list("v1", "Event", namespace, fieldSelector="type=Warning"):
        if event["involvedObject"]["name"] in about:
            last[event["involvedObject"]["name"]] = f"{event['reason']}: {event['message']}"
    yield from (f"[{at}]: {message}" for at, message in last.items())


def _line(pod: Object) -> set[str]:
    """The names of what made a pod: a ReplicaSet's begins as its Deployment's."""
    owners = {owner["name"] for owner in pod["metadata"].get("ownerReferences", ())}
    return owners | {owner.rsplit("-", 1)[0] for owner in owners}
