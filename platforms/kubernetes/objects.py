"""From a manifest to a resource: the kinds that a stack is made of."""

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from platforms.kubernetes.cluster import Manifest

# Group -> those of its kinds that a stack is made of.
GROUPS: dict[Any, tuple[str, ...]] = {
    kubernetes.apps.v1: ("Deployment", "StatefulSet"),
    kubernetes.autoscaling.v2: ("HorizontalPodAutoscaler",),
    kubernetes.batch.v1: ("Job",),
    kubernetes.core.v1: ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"),
    kubernetes.networking.v1: ("Ingress", "NetworkPolicy"),
    kubernetes.policy.v1: ("PodDisruptionBudget",),
    kubernetes.scheduling.v1: ("PriorityClass",),
}
KINDS = {kind: getattr(group, kind) for group, kinds in GROUPS.items() for kind in kinds}
KINDS |= dict.fromkeys(("PrometheusRule", "ServiceMonitor"), kubernetes.apiextensions.CustomResource)


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
