"""Waiting for a cluster to settle; what the gate does, without Pulumi."""

import time
from collections.abc import Mapping
from typing import Any

from access.haproxy import BalancerApi, BalancerUnreachable
from access.kubernetes.replicas import every
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import NodeView, founded_size, observe_nodes, unsettled

LOOKS = 3  # in a row must find the cluster settled: one look saw clusters as settled that went on to lose writes
PAUSE_SECONDS = 0.5


def wait_until_settled(gate: Mapping[str, Any], *, first_start: bool) -> None:
    """Return when the cluster has settled and the gate's own node is in traffic; else TimeoutError.

    On the first start of a node, the nodes behind it have not been started: only those before it, and it, are asked.
    """
    urls = gate["node_urls"][: gate["ordinal"] + 1] if first_start else gate["node_urls"]
    nodes = [QdrantApi(url, gate["api_key"]) for url in urls]
    all_started = len(urls) == len(gate["node_urls"])
    at_first_start = unsettled if all_started else _reasons_at_first_start
    judge = at_first_start if first_start else _reasons_later
    deadline = time.monotonic() + gate["timeout_seconds"]
    settled_looks = 0
    while settled_looks < LOOKS:
        reasons = judge(observe_nodes(nodes))
        settled_looks = 0 if reasons else settled_looks + 1
        if reasons and time.monotonic() > deadline:
            raise TimeoutError(
                f"expected a settled cluster within {gate['timeout_seconds']} s, found: {'; '.join(reasons[:4])}. "
                "Nothing else has been touched; look at the nodes' logs, then run the same command again"
            )
        time.sleep(PAUSE_SECONDS)
    _readmit(gate["balancer"], gate["ordinal"])


def _reasons_at_first_start(views: list[NodeView]) -> list[str]:
    """A cluster that lived before has no majority until enough of it is started: until then, answering is enough."""
    silent = [view for view in views if view.cluster is None]
    lived_before = founded_size(views) > len(views)
    return [] if lived_before and not silent else unsettled(views)


def _reasons_later(views: list[NodeView]) -> list[str]:
    """Nodes that never joined (an interrupted first start) are not waited for; all that did join must be well."""
    joined = max(founded_size(views), 1)
    return unsettled(views[:joined])


def _readmit(balancer: Mapping[str, Any], ordinal: int) -> None:
    server = f"{balancer['prefix']}{ordinal}"
    for url in every(balancer["url"]):
        try:
            BalancerApi(url, balancer["user"], balancer["password"]).readmit(server)
        except BalancerUnreachable:
            continue  # not started yet: it will begin with every server in traffic
