"""The gate between two nodes of a cluster: done when all of them have settled, and the new one has traffic again."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class SettledProvider(ResourceProvider):
    """Waits, and keeps nothing; `started` is the only input whose change means waiting again."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """First start of a node: the nodes behind it may not have been started yet."""
        from providers.wire import report, with_integers
        from qdrant_admin.settling import wait_until_settled

        gate = with_integers(props)
        wait_until_settled(gate, first_start=True, on_progress=report)
        return CreateResult(id_=f"settled-{gate['ordinal']}", outs=props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The node was replaced: the whole cluster must have settled before the next one is touched."""
        from providers.wire import report, with_integers
        from qdrant_admin.settling import wait_until_settled

        wait_until_settled(with_integers(news), first_start=False, on_progress=report)
        return UpdateResult(outs=news)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Only another start of the node is a change; a new time-out or key is none."""
        return DiffResult(changes=olds.get("started") != news.get("started"))


class ClusterSettled(Resource, module="providers", name="ClusterSettled"):
    """A gate: nothing that depends on it goes on before the cluster has settled."""

    def __init__(
        self,
        name: str,
        *,
        ordinal: int,
        started: pulumi.Input[str],
        node_urls: list[str],
        api_key: pulumi.Input[str],
        balancer: dict[str, pulumi.Input[str]],
        timeout_seconds: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "ordinal": ordinal,
            "started": started,
            "node_urls": node_urls,
            "api_key": pulumi.Output.secret(api_key),
            "balancer": balancer,
            "timeout_seconds": timeout_seconds,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["api_key", "balancer"])
        super().__init__(SettledProvider(), name, props, pulumi.ResourceOptions.merge(opts, secrets))
