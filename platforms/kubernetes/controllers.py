"""What keeps pods running: a StatefulSet where there is data, a Deployment where there is none, a Job once."""

from platforms.kubernetes import storage
from platforms.kubernetes.cluster import Cluster, Manifest, replicas_service, selector
from platforms.workload import Workload

JOB_SECONDS = 600


def deployment(name: str, workload: Workload, cluster: Cluster, template: Manifest) -> Manifest:
    """A replica leaves only when the one in its place is ready."""
    return {
        "metadata": cluster.metadata(name, name, annotations=timeouts(workload)),
        "spec": {
            "replicas": workload.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": workload.start_seconds,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": selector(name)},
            "template": template,
        },
    }


def stateful_set(name: str, workload: Workload, cluster: Cluster, template: Manifest, *, gated: bool) -> Manifest:
    """Replicas start together (one that waits for another would never let both start); a gated one is never touched by
    the cluster itself: the gates decide when it is changed."""
    annotations = {"pulumi.com/skipAwait": "true"} if gated else timeouts(workload)
    return {
        "metadata": cluster.metadata(name, name, annotations=annotations),
        "spec": {
            "replicas": workload.replicas,
            "serviceName": replicas_service(name),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete" if gated else "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": selector(name)},
            "template": template,
            "volumeClaimTemplates": storage.claim_templates(workload, cluster),
        },
    }


def job(called: str, name: str, workload: Workload, template: Manifest, cluster: Cluster) -> Manifest:
    """Runs to its end, three tries at most."""
    pod = {**template["spec"], "restartPolicy": "Never"}
    return {
        "metadata": cluster.metadata(called, name, annotations=timeouts(workload)),
        "spec": {
            "backoffLimit": 3,
            "activeDeadlineSeconds": JOB_SECONDS,
            "template": {"metadata": template["metadata"], "spec": pod},
        },
    }


def timeouts(workload: Workload) -> dict[str, str]:
    """How long the deployment waits for the workload; the cluster goes on trying after that."""
    return {"pulumi.com/timeoutSeconds": str(workload.replicas * (workload.start_seconds + 60))}
