"""Disks: claims that outlive what uses them, and the permission to found that is left in the first one, once."""

from dataclasses import replace

from platforms.kubernetes import pods, spread
from platforms.kubernetes.cluster import Cluster, Manifest, claim_spec
from platforms.workload import Resources, Workload


def replica_name(name: str, ordinal: int) -> str:
    """The name that the StatefulSet's controller gives the pod."""
    return f"{name}-{ordinal}"


def claim_name(name: str, ordinal: int) -> str:
    """As the StatefulSet's controller will look for it, and take it when it is there already."""
    return f"data-{replica_name(name, ordinal)}"


def claim(name: str, ordinal: int, workload: Workload, cluster: Cluster) -> Manifest:
    """Made before the StatefulSet, so that it can be protected, and outlives it."""
    # It is bound when the first pod that uses it is placed: not to be waited for.
    unawaited = {"pulumi.com/skipAwait": "true"}
    metadata = cluster.metadata(claim_name(name, ordinal), name, annotations=unawaited)
    return {"metadata": metadata, "spec": claim_spec(workload.data_gib, cluster.settings.storage_class)}


def claim_templates(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """The same once more, for the controller, which makes a claim again that is lost."""
    metadata = {"name": "data", "labels": cluster.labels()}
    return [{"metadata": metadata, "spec": claim_spec(workload.data_gib, cluster.settings.storage_class)}]


def founding_job(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """Leaves the permission to found in the data of replica 0, which it follows to its machine.

    It goes nowhere before the replica: a disk that stays where this pod happened to be placed would tie the replica to
    a machine that one of its peers may have taken by then, and it could never start.
    """
    path = f"{workload.data_dir}/{workload.founding_file}"
    small = replace(workload, resources=Resources(memory_mib=32, cpus=0.1))
    mounts = [{"name": "data", "mountPath": workload.data_dir}]
    container = pods.container(name, small, cluster, {}) | {"command": ["touch", path], "volumeMounts": mounts}
    unneeded = ("args", "env", "ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle")
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "affinity": spread.beside(replica_name(name, 0)),
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
