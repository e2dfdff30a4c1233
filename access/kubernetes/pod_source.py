"""One pod of a StatefulSet in a real cluster."""

from collections.abc import Mapping
from typing import Any

from access.kubernetes import kube


class ClusterPod:
    """Pod `ordinal` of a StatefulSet, as the cluster's API sends it."""

    def __init__(self, context: str, namespace: str, stateful_set: str, ordinal: int) -> None:
        self._core, self._apps = kube.core(context), kube.apps(context)
        self._namespace, self._set = namespace, stateful_set
        self.name = f"{stateful_set}-{ordinal}"

    def stateful_set(self) -> Mapping[str, Any]:
        read = self._apps.read_namespaced_stateful_set
        found: Mapping[str, Any] = kube.plain(self._apps, read(self._set, self._namespace))
        return found

    def pod(self) -> Mapping[str, Any] | None:
        return kube.pod(self._core, self.name, self._namespace)

    def events(self) -> list[Mapping[str, Any]]:
        """Of the controller and of the pod, oldest first."""
        return kube.events_on(self._core, self._namespace, self._set, self.name)

    def delete_pod(self, uid: str) -> None:
        """Delete this pod; one that has been created under its name since is kept."""
        delete, body = self._core.delete_namespaced_pod, {"preconditions": {"uid": uid}}
        kube.unless_replaced(lambda: delete(self.name, self._namespace, body=body))
