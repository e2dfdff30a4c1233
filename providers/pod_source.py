"""One pod of a StatefulSet in a real cluster."""

from collections.abc import Mapping
from typing import Any

from kubernetes.client import ApiException

from providers import kube


class ClusterPod:
    """Pod `ordinal` of a StatefulSet, as the cluster's API sends it."""

    def __init__(self, context: str, namespace: str, stateful_set: str, ordinal: int) -> None:
        self._core, self._apps = kube.core(context), kube.apps(context)
        self._namespace, self._set = namespace, stateful_set
        self._pod = f"{stateful_set}-{ordinal}"

    def stateful_set(self) -> Mapping[str, Any]:
        return self._object(self._apps.read_namespaced_stateful_set(self._set, self._namespace))

    def pod(self) -> Mapping[str, Any] | None:
        try:
            return self._object(self._core.read_namespaced_pod(self._pod, self._namespace))
        except ApiException as error:
            if kube.is_gone(error):
                return None
            raise

    def events(self) -> list[Mapping[str, Any]]:
        """What is said of the controller and of the pod, oldest first."""
        found: list[Mapping[str, Any]] = self._plain(self._core.list_namespaced_event(self._namespace).items)
        return [event for event in found if event["involvedObject"].get("name") in (self._set, self._pod)]

    def delete_pod(self, uid: str) -> None:
        """This pod and no other of its name: one that came in its place is let be."""
        try:
            self._core.delete_namespaced_pod(self._pod, self._namespace, body={"preconditions": {"uid": uid}})
        except ApiException as error:
            if error.status not in (404, 409):
                raise

    def _object(self, found: Any) -> Mapping[str, Any]:
        plain: Mapping[str, Any] = self._plain(found)
        return plain

    def _plain(self, found: Any) -> Any:
        return self._core.api_client.sanitize_for_serialization(found)
