"""Replacing the pods of a StatefulSet one after another: out of traffic, replaced, settled, and only then the next."""

import pulumi
from pulumi import ResourceOptions

from platforms.base import Rollout, after
from platforms.kubernetes.cluster import Cluster, Manifest
from platforms.kubernetes.files import digest
from platforms.workload import Workload
from providers.pod_rolled import PodRolled


def rolled(
    name: str, workload: Workload, cluster: Cluster, template: Manifest, *, rollout: Rollout, opts: ResourceOptions
) -> list[pulumi.Resource]:
    """Returns the last gate; behind it every pod is of the template, and all have settled."""
    revision = pulumi.Output.from_input(template).apply(digest)
    gate: list[pulumi.Resource] = []
    for ordinal in range(workload.replicas):
        waits = after(opts, gate)
        # The hook runs before the pod is touched, and only if it is.
        drained = pulumi.ResourceHookBinding(before_update=[rollout.before_stop(ordinal)])
        pod = PodRolled(
            f"{name}-rolled-{ordinal}",
            context=cluster.settings.context,
            namespace=cluster.namespace,
            stateful_set=name,
            ordinal=ordinal,
            template=revision,
            timeout_seconds=workload.start_seconds + 60,
            opts=ResourceOptions(parent=waits.parent, depends_on=waits.depends_on, hooks=drained),
        )
        gate = [rollout.settled(ordinal, pod.started, ResourceOptions(parent=opts.parent, depends_on=[pod]))]
    return gate
