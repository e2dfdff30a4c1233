"""One pod of a StatefulSet in a real cluster."""

from collections.abc import Mapping
from typing import Any

from access.kubernetes import kube


class ClusterPod:
    """Pod `ordinal` of a StatefulSet, as the cluster's API sends it."""

    def __init__(self, context: str, namespace: str, stateful_set: str, ordinal: int) -> None:
        self._core, self._apps = kube.core(context), kube.apps(context)
        self._namespace, self._set = namespace, stateful_set
        self._pod = f"{stateful_set}-{ordinal}"

    def stateful_set(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._plain(self._apps.read_namespaced_stateful_set(self._set, self._namespace))
        return found

    def pod(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._plain(
            kube.or_none(lambda: self._core.read_namespaced_pod(self._pod, self._namespace))
        )
        return found

    def events(self) -> list[Mapping[str, Any]]:
        """What is said of the controller and of the pod, oldest first."""
        found: list[Mapping[str, Any]] = self._plain(self._core.list_namespaced_event(self._namespace).items)
        return [event for event in found if event["involvedObject"].get("name") in (self._set, self._pod)]

    def delete_pod(self, uid: str) -> None:
        """This pod and no other of its name: one that came in its place is let be."""
        delete, body = self._core.delete_namespaced_pod, {"preconditions": {"uid": uid}}
        kube.unless_replaced(lambda: delete(self._pod, self._namespace, body=body))

    def _plain(self, found: Any) -> Any:
        return self._core.api_client.sanitize_for_serialization(found)
