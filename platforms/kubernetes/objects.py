"""From a manifest to a resource: the kinds that a stack is made of."""

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from platforms.kubernetes.cluster import Manifest

KINDS: dict[str, Any] = {
    "ConfigMap": kubernetes.core.v1.ConfigMap,
    "Deployment": kubernetes.apps.v1.Deployment,
    "HorizontalPodAutoscaler": kubernetes.autoscaling.v2.HorizontalPodAutoscaler,
    "Ingress": kubernetes.networking.v1.Ingress,
    "Job": kubernetes.batch.v1.Job,
    "Namespace": kubernetes.core.v1.Namespace,
    "NetworkPolicy": kubernetes.networking.v1.NetworkPolicy,
    "PersistentVolumeClaim": kubernetes.core.v1.PersistentVolumeClaim,
    "PodDisruptionBudget": kubernetes.policy.v1.PodDisruptionBudget,
    "PriorityClass": kubernetes.scheduling.v1.PriorityClass,
    "PrometheusRule": kubernetes.apiextensions.CustomResource,
    "Secret": kubernetes.core.v1.Secret,
    "Service": kubernetes.core.v1.Service,
    "ServiceAccount": kubernetes.core.v1.ServiceAccount,
    "ServiceMonitor": kubernetes.apiextensions.CustomResource,
    "StatefulSet": kubernetes.apps.v1.StatefulSet,
}


class Maker:
    """Makes resources with one provider; `before` is what all of them wait for."""

    def __init__(self, provider: kubernetes.Provider) -> None:
        self._provider = provider
        self.before: list[pulumi.Resource] = []

    def make(self, kind: str, name: str, manifest: Manifest, opts: ResourceOptions, **more: Any) -> pulumi.Resource:
        """The object as a resource called `name`, with the parent and dependencies of `opts`."""
        own = ResourceOptions(parent=opts.parent, provider=self._provider, depends_on=self._after(opts), **more)
        made: pulumi.Resource = KINDS[kind](name, **_arguments(manifest), opts=own)
        return made

    def _after(self, opts: ResourceOptions) -> list[Any]:
        wanted = opts.depends_on or []
        assert isinstance(wanted, list)
        return [*self.before, *wanted]


def _arguments(manifest: Manifest) -> dict[str, Any]:
    """The first level of a manifest as a resource class spells it."""
    return {_snake(key): value for key, value in manifest.items()}


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
