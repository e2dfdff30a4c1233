"""Disks: claims that outlive what uses them, and the permission to found that is left in the first one, once."""

from platforms.kubernetes import pods
from platforms.kubernetes.claims import claim_spec
from platforms.kubernetes.cluster import Cluster, Manifest
from platforms.workload import Workload


def claim_name(name: str, ordinal: int) -> str:
    """As the StatefulSet's controller will look for it, and take it when it is there already."""
    return f"data-{name}-{ordinal}"


def claim(name: str, ordinal: int, workload: Workload, cluster: Cluster) -> Manifest:
    """Made before the StatefulSet, so that it can be protected, and outlives it."""
    # It is bound when the first pod that uses it is placed: not to be waited for.
    unawaited = {"pulumi.com/skipAwait": "true"}
    metadata = cluster.metadata(claim_name(name, ordinal), name, annotations=unawaited)
    return {"metadata": metadata, "spec": claim_spec(workload.data_gib, cluster.settings.storage_class)}


def claim_templates(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """The same once more, for the controller."""
    return [{"metadata": {"name": "data"}, "spec": claim_spec(workload.data_gib, cluster.settings.storage_class)}]


def founding_job(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """Leaves the permission to found in the data of replica 0; asks for all that the replica will ask for, because
    where this pod is placed the disk is, and the replica after it."""
    path = f"{workload.data_dir}/{workload.founding_file}"
    container = pods.container(name, workload, cluster) | {"command": ["touch", path], "volumeMounts": _data(workload)}
    unneeded = ("args", "env", "ports", "startupProbe", "readinessProbe", "lifecycle")
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pods.pod_security(workload.user),
        "containers": [{key: value for key, value in container.items() if key not in unneeded}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name(name, 0)}}],
    }
    if cluster.settings.pull_secret:
        spec["imagePullSecrets"] = [{"name": cluster.settings.pull_secret}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": cluster.metadata(f"{name}-founding", f"{name}-founding"),
        "spec": {"backoffLimit": 3, "template": {"metadata": {"labels": cluster.labels()}, "spec": spec}},
    }


def _data(workload: Workload) -> list[Manifest]:
    return [{"name": "data", "mountPath": workload.data_dir}]
