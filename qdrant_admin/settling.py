"""Waiting for a cluster to settle; what the gate does, without Pulumi."""

from collections.abc import Mapping
from typing import Any

from access.haproxy import BalancerApi, BalancerUnreachable
from access.kubernetes.replicas import every
from access.polling import SYSTEM_CLOCK, Clock, poll, require_none
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import NodeView, beyond_waiting, founded_size, observe_nodes, unsettled
from qdrant_admin.progress import ProgressCallback

OBSERVATIONS = (
    3  # in a row that find it settled: after one, clusters were taken for settled that went on to lose writes
)
ADVICE = "Nothing else has been touched; look at the nodes' logs, then run the same command again"


def wait_until_settled(
    gate: Mapping[str, Any],
    *,
    first_start: bool,
    observations: int = OBSERVATIONS,
    on_progress: ProgressCallback = lambda _: None,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Return when the cluster has settled and the gate's own node is in traffic; else TimeoutError.

    A collection that no wait can mend is reported to `on_progress`.
    On the first start of a node, the nodes behind it have not been started: only those before it, and it, are asked.
    """
    urls = gate["node_urls"][: gate["ordinal"] + 1] if first_start else gate["node_urls"]
    nodes = [QdrantApi(url, gate["api_key"]) for url in urls]
    all_started = len(urls) == len(gate["node_urls"])
    at_first_start = unsettled if all_started else unsettled_at_first_start
    reasons = at_first_start if first_start else unsettled_members
    views: list[NodeView] = []

    def settled() -> None:
        views[:] = observe_nodes(nodes)
        require_none(reasons(views))

    poll(
        settled,
        gate["timeout_seconds"],
        expected="a settled cluster",
        advice=ADVICE,
        consecutive=observations,
        clock=clock,
    )
    for reason in beyond_waiting(views):
        on_progress(f"{reason}. Not waited for; delete that collection, or restore it: see docs/day-two.md")
    _readmit(gate["balancer"], gate["ordinal"])


def unsettled_at_first_start(views: list[NodeView]) -> list[str]:
    """An existing cluster has no majority until enough nodes are started: until then, answering is enough."""
    silent = [view for view in views if view.cluster is None]
    existed_before = founded_size(views) > len(views)
    return [] if existed_before and not silent else unsettled(views)


def unsettled_members(views: list[NodeView]) -> list[str]:
    """Nodes that never joined (an interrupted first start) are not waited for; all that did join must be settled."""
    joined = max(founded_size(views), 1)
    return unsettled(views[:joined])


def _readmit(balancer: Mapping[str, Any], ordinal: int) -> None:
    server = f"{balancer['prefix']}{ordinal}"
    for url in every(balancer["url"]):
        try:
            BalancerApi(url, balancer["user"], balancer["password"]).readmit(server)
        except BalancerUnreachable:
            continue  # not started yet: it begins with every server in traffic
