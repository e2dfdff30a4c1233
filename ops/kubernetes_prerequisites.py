"""Prerequisites on Kubernetes: all that the cluster lacks, in one error, before anything is created."""

from collections.abc import Collection
from typing import Any

from rich.console import Console

from access.kubernetes.kube import NoCluster
from ops.cluster_inspection import ClusterInspection, inspect
from ops.elsewhere import check_elsewhere
from ops.stack import OperatorError
from settings import Settings

# Block storage only: on these, Qdrant's files have been corrupted.
SHARED_FILES = ("nfs", "efs", "azurefile", "azure-file", "smb", "cephfs", "glusterfs")


class KubernetesPrerequisites:
    """See `ops.prerequisites.Prerequisites`; the cluster itself restarts what stopped, and there are no orphans."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        try:
            missing = shortcomings(self._settings, inspect(self._settings))
        except NoCluster as error:
            raise OperatorError(str(error)) from error
        if missing:
            listed = "\n".join(f"  - {each}" for each in missing)
            raise OperatorError(f"the cluster lacks {len(missing)} thing(s); nothing was changed:\n{listed}")
        check_elsewhere(self._settings)

    def prepare(self, recorded: list[dict[str, Any]], console: Console, *, leaving: Collection[str] = ()) -> list[str]:
        return []

    def clear(self, recorded: list[dict[str, Any]]) -> None:
        """Nothing: what an interrupted run left is removed with the namespace, or adopted by the next run."""


def shortcomings(settings: Settings, cluster: ClusterInspection) -> list[str]:
    """What the cluster lacks, each with what to do; pure."""
    found = []
    if cluster.forbidden:
        found.append(
            f"rights: {cluster.user} may not {'; '.join(cluster.forbidden)}; ask the cluster's owner, or set "
            "rag-platform:kubernetesNamespace (or kubernetesCreateNamespace, kubernetesPriorityClasses) otherwise"
        )
    wanted = settings.kubernetes
    if not wanted.create_namespace and not cluster.namespace_exists:
        found.append(
            "its namespace: none exists, and kubernetesCreateNamespace is false; create it, or set that key to true"
        )
    found += _storage(wanted.storage_class, cluster)
    if wanted.work_class and cluster.storage_classes and wanted.work_class not in cluster.storage_classes:
        found.append(_lacking("kubernetesWorkClass", f"storage class {wanted.work_class}", cluster.storage_classes))
    work_class = wanted.work_class or wanted.storage_class or cluster.default_storage_class
    if work_class in cluster.immediate_classes and cluster.zones > 1:
        found.append(
            f"a storage class that waits for the pod: {work_class} creates the disk for snapshots at once, maybe in "
            "another zone than its node's data, and the pod could not be scheduled; name one with volumeBindingMode "
            'WaitForFirstConsumer in rag-platform:kubernetesWorkClass, or set kubernetesZoneKey to "" if its disks can '
            "be used in every zone"
        )
    if work_class in cluster.retaining_classes:
        found.append(
            f"a storage class that deletes: {work_class} retains the disk for snapshots, which goes with its pod: each "
            "restart of a node would leave one behind; name one with reclaimPolicy Delete in "
            "rag-platform:kubernetesWorkClass"
        )
    nodes = settings.qdrant.nodes
    if wanted.spread == "hard" and cluster.machines is not None and cluster.machines < nodes:
        found.append(
            f"machines: expected {nodes} that accept pods, so that no two nodes of Qdrant share one, found "
            f"{cluster.machines}; add machines, or set rag-platform:kubernetesSpread to soft"
        )
    if wanted.spread == "hard" and wanted.zone_key and cluster.machines and not cluster.zones:
        found.append(
            f"zones: expected machines with the label {wanted.zone_key}, over which Qdrant's nodes are spread, found "
            'none; label them, or set rag-platform:kubernetesZoneKey to ""'
        )
    found += [
        f"Secret {name}, which the stack file names in {key}; create it in the namespace first"
        for key, name in cluster.missing_secrets.items()
    ]
    if wanted.monitoring_operator and not cluster.has_monitoring:
        found.append(
            "the kinds ServiceMonitor and PrometheusRule (monitoring.coreos.com/v1); install the Prometheus operator, "
            "or set rag-platform:kubernetesMonitoringOperator to false"
        )
    return found


def _storage(wanted: str, cluster: ClusterInspection) -> list[str]:
    classes = cluster.storage_classes
    if classes is None:  # this user may not list them
        return []
    name = wanted or cluster.default_storage_class
    if name not in classes:
        missing = f"storage class {wanted}" if wanted else "a default storage class"
        return [_lacking("kubernetesStorageClass", missing, classes)]
    if any(kind in classes[name].lower() for kind in SHARED_FILES):
        return [
            f"block storage: class {name} is provisioned by {classes[name]}, a shared file system, on which Qdrant's "
            "files get corrupted; name another in rag-platform:kubernetesStorageClass"
        ]
    return []


def _lacking(key: str, missing: str, classes: Collection[str]) -> str:
    return f"{missing}: found {', '.join(sorted(classes)) or 'none'}; name one of these in rag-platform:{key}"
