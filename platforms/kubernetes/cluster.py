"""What every object of a stack has in common: its cluster, its namespace, its labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from platforms.kubernetes.settings import KubernetesSettings
from platforms.workload import Workload

Manifest = dict[str, Any]
NAME_LABEL = "app.kubernetes.io/name"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The stack's place in a cluster; `prefix` names what is outside its namespace."""

    prefix: str
    settings: KubernetesSettings
    disk_exporter_image: str = ""  # not needed to find what is there

    @property
    def namespace(self) -> str:
        return self.settings.namespace or self.prefix

    def metadata(self, name: Any, workload: str = "", **more: Any) -> Manifest:
        """Name, namespace and labels of an object, of a workload if named."""
        labels = selector(workload) if workload else {}
        return {"name": name, "namespace": self.namespace, "labels": labels | self.labels(), **more}

    def labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/part-of": self.prefix, "app.kubernetes.io/managed-by": "pulumi"}

    def image(self, reference: str) -> str:
        """The reference as this cluster pulls it."""
        mirror = self.settings.registry_mirror.rstrip("/")
        return f"{mirror}/{reference}" if mirror else reference

    def domain(self, service: str) -> str:
        """The full name of a Service, which needs no search list."""
        return f"{service}.{self.namespace}.svc.{self.settings.cluster_domain}"

    def url(self, name: str, port: int) -> str:
        """How this machine reaches a pod by its name, or any pod of a workload: through the cluster's API."""
        return f"kube://{quote(self.settings.context, safe='')}/{self.namespace}/{name}:{port}"


def selector(name: str) -> dict[str, str]:
    """The labels by which the pods of a workload are found."""
    return {NAME_LABEL: name}


def replicas_service(name: str) -> str:
    """The headless Service whose name resolves to every pod of the workload."""
    return f"{name}-replicas"


def keeps_data(workload: Workload) -> bool:
    """A workload with data has replicas with names, and disks of their own."""
    return workload.data_dir is not None


def claim_spec(size_gib: int, storage_class: str) -> Manifest:
    """A claim for one writer, of that class, or of the cluster's default."""
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{size_gib}Gi"}}}
    return spec | ({"storageClassName": storage_class} if storage_class else {})


def merged(*parts: Mapping[str, Any]) -> Manifest:
    """One manifest of several parts, without what is None."""
    return {key: value for part in parts for key, value in part.items() if value is not None}
