"""A Kubernetes cluster under a stack: what it must have before anything is made, said in one go."""

from collections.abc import Collection
from typing import Any

from rich.console import Console

from access.kubernetes.kube import NoCluster
from ops.cluster_inspection import ClusterLook, look_at
from ops.stack import OperatorError
from settings import Settings

# Block storage only: on these, Qdrant's files have been corrupted.
SHARED_FILES = ("nfs", "efs", "azurefile", "azure-file", "smb", "cephfs", "glusterfs")


class KubernetesGround:
    """See `ops.prerequisites.Ground`; the cluster itself keeps what runs running, and knows of no strays."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        try:
            missing = shortcomings(self._settings, look_at(self._settings))
        except NoCluster as error:
            raise OperatorError(str(error)) from error
        if missing:
            listed = "\n".join(f"  - {each}" for each in missing)
            raise OperatorError(f"the cluster lacks {len(missing)} thing(s); nothing has been made:\n{listed}")

    def prepare(self, recorded: list[dict[str, Any]], console: Console, *, leaving: Collection[str] = ()) -> list[str]:
        return []

    def clear(self, recorded: list[dict[str, Any]]) -> None:
        """Nothing: what an interrupted run left goes with the namespace, or is taken over by the next one."""


def shortcomings(settings: Settings, cluster: ClusterLook) -> list[str]:
    """What is missing, each with what to do; pure."""
    found = []
    if cluster.forbidden:
        found.append(
            f"rights: {cluster.user} may not {'; '.join(cluster.forbidden)}; ask the cluster's owner, or set "
            "rag-platform:kubernetesNamespace (or kubernetesCreateNamespace, kubernetesPriorityClasses) otherwise"
        )
    wanted = settings.kubernetes
    if not wanted.create_namespace and not cluster.namespace_exists:
        found.append("its namespace: none is there, and kubernetesCreateNamespace is false; make it, or let it be made")
    found += _storage(wanted.storage_class, cluster)
    if wanted.work_class and cluster.storage_classes and wanted.work_class not in cluster.storage_classes:
        found.append(_lacking("kubernetesWorkClass", f"storage class {wanted.work_class}", cluster.storage_classes))
    work_class = wanted.work_class or wanted.storage_class or cluster.default_storage_class
    if work_class in cluster.hasty_classes and cluster.zones > 1:
        found.append(
            f"a storage class that waits for the pod: {work_class} makes the disk for snapshots at once, maybe in "
            "another zone than the data of its node, which could not start then; name one with volumeBindingMode "
            'WaitForFirstConsumer in rag-platform:kubernetesWorkClass, or set kubernetesZoneKey to "" if its disks can '
            "be used in every zone"
        )
    nodes = settings.qdrant.nodes
    if wanted.spread == "hard" and cluster.machines is not None and cluster.machines < nodes:
        found.append(
            f"machines: expected {nodes} that take pods, so that no two nodes of Qdrant share one, found "
            f"{cluster.machines}; add machines, or set rag-platform:kubernetesSpread to soft"
        )
    found += [
        f"Secret {name}, which the stack file names in {key}; make it in the namespace first"
        for key, name in cluster.missing_secrets.items()
    ]
    if wanted.monitoring_operator and not cluster.has_monitoring:
        found.append(
            "the kinds ServiceMonitor and PrometheusRule (monitoring.coreos.com/v1); install the Prometheus operator, "
            "or set rag-platform:kubernetesMonitoringOperator to false"
        )
    return found


def _storage(wanted: str, cluster: ClusterLook) -> list[str]:
    classes = cluster.storage_classes
    if classes is None:  # may not be listed by this user
        return []
    name = wanted or cluster.default_storage_class
    if name not in classes:
        asked = f"storage class {wanted}" if wanted else "a default storage class"
        return [_lacking("kubernetesStorageClass", asked, classes)]
    if any(kind in classes[name].lower() for kind in SHARED_FILES):
        return [
            f"block storage: class {name} is made by {classes[name]}, a shared file system, on which Qdrant's files "
            "get corrupted; name another in rag-platform:kubernetesStorageClass"
        ]
    return []


def _lacking(key: str, asked: str, classes: Collection[str]) -> str:
    return f"{asked}: found {', '.join(sorted(classes)) or 'none'}; name one of these in rag-platform:{key}"
