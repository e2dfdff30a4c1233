"""A HorizontalPodAutoscaler for workloads without data."""

from platforms.kubernetes.cluster import Cluster, Manifest, keeps_data
from platforms.workload import Workload

BUSY_PERCENT = 70  # of the processor share that is reserved
STABILIZATION_SECONDS = 300


def scales(workload: Workload, cluster: Cluster) -> bool:
    """Only where the stack file allows it, the component names an upper end, and there is no data to move."""
    more = (workload.most_replicas or 0) > workload.replicas
    return cluster.settings.autoscaling and more and not keeps_data(workload)


def autoscaler(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """Up at once, down only after the load has been low for a while."""
    target = {"type": "Utilization", "averageUtilization": BUSY_PERCENT}
    return {
        "metadata": cluster.metadata(name, name, annotations={"pulumi.com/skipAwait": "true"}),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": workload.replicas,
            "maxReplicas": workload.most_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": STABILIZATION_SECONDS}},
        },
    }
