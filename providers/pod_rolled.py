"""One pod of a StatefulSet as a resource: done when it is of the newest revision, and ready."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class PodRolledProvider(ResourceProvider):
    """Replaces the pod when its template changed; the work is done by `access.kubernetes.pod_rolling`."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        outs = self._rolled(props)
        return CreateResult(id_=f"{props['namespace']}/{props['stateful_set']}-{int(props['ordinal'])}", outs=outs)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=self._rolled(news))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Only another template, or another cluster, touches the pod."""
        changed = any(olds.get(key) != news.get(key) for key in ("template", "context", "namespace"))
        return DiffResult(changes=changed)

    def _rolled(self, props: dict[str, Any]) -> dict[str, Any]:
        from access.kubernetes.pod_rolling import roll
        from access.kubernetes.pod_source import ClusterPod
        from providers.wire import with_integers

        inputs = with_integers(props)
        pod = ClusterPod(inputs["context"], inputs["namespace"], inputs["stateful_set"], inputs["ordinal"])
        return {**props, "started": roll(pod, inputs["timeout_seconds"])}


class PodRolled(Resource, module="providers", name="PodRolled"):
    """Pod `ordinal`, replaced whenever `template` (a digest) changes; `started` is the uid of the running one."""

    started: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: str,
        namespace: str,
        stateful_set: str,
        ordinal: int,
        template: pulumi.Input[str],
        timeout_seconds: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {
            "context": context,
            "namespace": namespace,
            "stateful_set": stateful_set,
            "ordinal": ordinal,
            "template": template,
            "timeout_seconds": timeout_seconds,
            "started": None,
        }
        super().__init__(PodRolledProvider(), name, props, opts)
