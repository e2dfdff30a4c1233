"""One Job in a real cluster."""

from collections.abc import Mapping
from typing import Any

from access.kubernetes import kube


class ClusterJob:
    """The Job of a manifest, as the cluster's API sends it; `follows` is the pod whose machine it goes to."""

    def __init__(self, context: str, manifest: Mapping[str, Any], *, follows: str) -> None:
        self._batch, self._core = kube.batch(context), kube.core(context)
        self._manifest, self._follows = manifest, follows
        self.name, self._namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]

    def start(self) -> None:
        self._batch.create_namespaced_job(self._namespace, self._manifest)

    def job(self) -> Mapping[str, Any] | None:
        read = self._batch.read_namespaced_job
        found: Mapping[str, Any] | None = kube.plain(
            self._batch, kube.or_none(lambda: read(self.name, self._namespace))
        )
        return found

    def followed(self) -> Mapping[str, Any] | None:
        return kube.pod(self._core, self._follows, self._namespace)

    def events(self) -> list[Mapping[str, Any]]:
        """Of the controller that creates the followed pod, oldest first."""
        return kube.events_on(self._core, self._namespace, self._follows.rpartition("-")[0])

    def pods(self) -> list[Mapping[str, Any]]:
        listed = self._core.list_namespaced_pod(self._namespace, label_selector=f"job-name={self.name}")
        found: list[Mapping[str, Any]] = kube.plain(self._core, listed.items)
        return found

    def log(self) -> str:
        """The last lines of its newest pod."""
        read = self._core.read_namespaced_pod_log
        lines = [read(pod["metadata"]["name"], self._namespace, tail_lines=10) for pod in self.pods()[-1:]]
        return "".join(lines).strip() or "an empty log"

    def remove(self) -> None:
        delete = self._batch.delete_namespaced_job
        kube.or_none(lambda: delete(self.name, self._namespace, propagation_policy="Foreground"))
