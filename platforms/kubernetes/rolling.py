"""Replacing the pods of a StatefulSet one after another: out of traffic, replaced, settled, and only then the next."""

import pulumi
from pulumi import ResourceOptions

from platforms.base import Rollout, after
from platforms.kubernetes.cluster import Cluster, Manifest
from platforms.kubernetes.files import digest
from platforms.workload import Workload
from providers.pod_rolled import PodRolled


class Rolling:
    """The chain of a workload whose StatefulSet touches no pod by itself."""

    def __init__(self, name: str, workload: Workload, cluster: Cluster, template: Manifest) -> None:
        self._name = name
        self._workload = workload
        self._cluster = cluster
        self._revision = pulumi.Output.from_input(template).apply(digest)

    def gates(self, rollout: Rollout, opts: ResourceOptions) -> list[pulumi.Resource]:
        """Returns the last gate; behind it every pod is of the StatefulSet's template, and all have settled."""
        gate: list[pulumi.Resource] = []
        for ordinal in range(self._workload.replicas):
            rolled = self._rolled(ordinal, rollout, after(opts, gate))
            behind = ResourceOptions(parent=opts.parent, depends_on=[rolled])
            gate = [rollout.settled(ordinal, rolled.started, behind)]
        return gate

    def _rolled(self, ordinal: int, rollout: Rollout, opts: ResourceOptions) -> PodRolled:
        """The hook runs before the pod is touched, and only if it is."""
        drained = pulumi.ResourceHookBinding(before_update=[rollout.before_stop(ordinal)])
        own = ResourceOptions(parent=opts.parent, depends_on=opts.depends_on, hooks=drained)
        return PodRolled(
            f"{self._name}-rolled-{ordinal}",
            context=self._cluster.settings.context,
            namespace=self._cluster.namespace,
            stateful_set=self._name,
            ordinal=ordinal,
            template=self._revision,
            timeout_seconds=self._workload.start_seconds + 60,
            opts=own,
        )
