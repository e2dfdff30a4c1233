"""Where replicas stand, and how many of them may be away at once."""

from platforms.kubernetes.cluster import Cluster, Manifest, keeps_data, selector
from platforms.workload import Workload

MACHINE = "kubernetes.io/hostname"
PRIORITIES = {"data": 1_000_000, "serving": 900_000}


def placement(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """Affinity, spread and priority of a pod; nothing for what runs once or alone."""
    found: Manifest = {}
    if cluster.settings.priority_classes and (rank := priority(workload)):
        found["priorityClassName"] = priority_class_name(rank, cluster)
    if workload.replicas > 1:
        found["topologySpreadConstraints"] = constraints(name, workload, cluster)
        if must_spread(workload, cluster):
            apart = {"topologyKey": MACHINE, "labelSelector": {"matchLabels": selector(name)}}
            found["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    return found


def must_spread(workload: Workload, cluster: Cluster) -> bool:
    """Whether a replica stays pending rather than share a machine with another."""
    return workload.replicas > 1 and workload.spread == "must" and cluster.settings.spread == "hard"


def constraints(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Even over machines, and over zones where they count: as even as can be, or else pending."""
    keys = [key for key in (MACHINE, cluster.settings.zone_key) if key]
    return [_even(key, name, workload, must_spread(workload, cluster)) for key in keys]


def _even(key: str, name: str, workload: Workload, must: bool) -> Manifest:
    constraint: Manifest = {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule" if must else "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(name)},
    }
    if must:  # a machine that no replica may use, such as one of the control plane, does not count as an empty place
        constraint["nodeTaintsPolicy"] = "Honor"
    # Pods of the rollout before do not count; a StatefulSet's have no such label.
    return constraint if keeps_data(workload) else constraint | {"matchLabelKeys": ["pod-template-hash"]}


def beside(pod: str) -> Manifest:
    """The affinity of what goes to the machine of that pod of a StatefulSet, and waits until it has one."""
    followed = {"topologyKey": MACHINE, "labelSelector": {"matchLabels": {"statefulset.kubernetes.io/pod-name": pod}}}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [followed]}}


def priority(workload: Workload) -> str:
    """Replicated data first, then what serves; a single replica yields to both."""
    if workload.replicas < 2:
        return ""
    return "data" if keeps_data(workload) else "serving"


def priority_class_name(rank: str, cluster: Cluster) -> str:
    return f"{cluster.prefix}-{rank}"


def priority_class(rank: str, cluster: Cluster) -> Manifest:
    """Above the cluster's ordinary pods, below its own."""
    return {
        "metadata": {"name": priority_class_name(rank, cluster), "labels": cluster.labels()},
        "value": PRIORITIES[rank],
        "globalDefault": False,
        "description": f"{cluster.prefix}: {rank}",
    }


def disruption_budget(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """One at a time. A stateless pod that is unhealthy may always go; one with data may be about to recover."""
    policy = "IfHealthyBudget" if keeps_data(workload) else "AlwaysAllow"
    return {
        "metadata": cluster.metadata(name, name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": policy,
            "selector": {"matchLabels": selector(name)},
        },
    }
