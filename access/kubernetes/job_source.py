"""One Job in a real cluster."""

from collections.abc import Mapping
from typing import Any

from access.kubernetes import kube


class ClusterJob:
    """The Job of a manifest, as the cluster's API sends it."""

    def __init__(self, context: str, manifest: Mapping[str, Any], *, follows: str) -> None:
        self._batch, self._core = kube.batch(context), kube.core(context)
        self._manifest, self._follows = manifest, follows
        self._name, self._namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]

    def start(self) -> None:
        self._batch.create_namespaced_job(self._namespace, self._manifest)

    def job(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._plain(
            kube.or_none(lambda: self._batch.read_namespaced_job(self._name, self._namespace))
        )
        return found

    def followed(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._plain(
            kube.or_none(lambda: self._core.read_namespaced_pod(self._follows, self._namespace))
        )
        return found

    def events(self) -> list[Mapping[str, Any]]:
        """What is said of what should make the pod that is followed, oldest first."""
        maker = self._follows.rpartition("-")[0]
        found: list[Mapping[str, Any]] = self._plain(self._core.list_namespaced_event(self._namespace).items)
        return [event for event in found if event["involvedObject"].get("name") == maker]

    def pods(self) -> list[Mapping[str, Any]]:
        listed = self._core.list_namespaced_pod(self._namespace, label_selector=f"job-name={self._name}")
        found: list[Mapping[str, Any]] = self._plain(listed.items)
        return found

    def log(self) -> str:
        """The last lines that any of its pods said."""
        said = [
            self._core.read_namespaced_pod_log(pod["metadata"]["name"], self._namespace, tail_lines=10)
            for pod in self.pods()[-1:]
        ]
        return "".join(said).strip() or "it said nothing"

    def remove(self) -> None:
        delete = self._batch.delete_namespaced_job
        kube.or_none(lambda: delete(self._name, self._namespace, propagation_policy="Foreground"))

    def _plain(self, found: Any) -> Any:
        return self._core.api_client.sanitize_for_serialization(found)
