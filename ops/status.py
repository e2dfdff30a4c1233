"""What runs, whether it is well, and whether it is the real thing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from rich.table import Table

from access.direct import direct_request
from access.haproxy import BalancerUnreachable
from access.kong import AdminApi, observe_route
from access.kubernetes.tunnel import local
from ops.balancer import balancers_of, servers_of
from ops.parts import Part, Parts
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import observe_nodes, physical_factor, unsettled


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Something a person can reach: what it is, and a path that answers 200 when it is well (or, guarded, refuses)."""

    name: str
    output: str
    part: str
    what: str
    health: str
    guarded: bool = False
    token: str = ""  # the output that lets a call in


ENDPOINTS = (
    Endpoint(name="gateway", output="gatewayUrl", part="kong", what="the RAG API, with a JWT",
             health="/api/v1/rag/search", guarded=True),
    Endpoint(name="gateway admin", output="gatewayAdminUrl", part="kong", what="Kong's Admin API", health="/status",
             token="gatewayAdminToken"),  # noqa: S106  the name of an output
    Endpoint(name="Qdrant", output="qdrantUrl", part="qdrant", what="REST, balanced over all nodes", health="/healthz"),
    Endpoint(name="HAProxy", output="balancerUrl", part="haproxy", what="metrics and statistics", health="/healthz"),
    Endpoint(name="Prometheus", output="prometheusUrl", part="prometheus", what="metrics, rules and alerts",
             health="/-/ready"),
    Endpoint(name="Grafana", output="grafanaUrl", part="grafana", what="the dashboard RAG Services Overview",
             health="/api/health"),
    Endpoint(name="ingest", output="ingestUrl", part="rag", what="indexing, for the operator", health="/health"),
)  # fmt: skip


def endpoint_table(outputs: dict[str, Any], parts: Parts) -> tuple[Table, bool]:
    """A row for each endpoint, and whether all of them are well."""
    table = Table("endpoint", "what it is", "part", "state", title="The stack on this machine")
    well = True
    for endpoint in ENDPOINTS:
        if not outputs.get(endpoint.output):
            continue  # this stack has none, as a Kong without a database has no Admin API
        url = str(outputs[endpoint.output])
        headers = AdminApi(url=url, token=outputs.get(endpoint.token, "")).headers
        state = _guard_state(url, endpoint.health) if endpoint.guarded else _state(url, endpoint.health, headers)
        well &= state == "well"
        color = "green" if state == "well" else "red"
        table.add_row(
            f"{endpoint.name}\n[link]{outputs[endpoint.output]}[/link]",
            endpoint.what,
            _part(parts.of(endpoint.part)),
            f"[{color}]{state}[/{color}]",
        )
    return table, well


def cluster_table(outputs: dict[str, Any]) -> tuple[Table, bool]:
    """A row for each node of Qdrant, the collection's physical replication, and whether all is settled."""
    urls, key = outputs["qdrantNodeUrls"], outputs["qdrantApiKey"]
    views = observe_nodes([QdrantApi(url, key, timeout_seconds=3) for url in urls])
    table = Table("node", "role", "term", "commit", "peers", "traffic", title="The Qdrant cluster")
    traffic = _traffic(outputs)
    for view, state in zip(views, traffic, strict=True):
        raft = view.cluster["raft_info"] if view.cluster else None
        cells = [raft["role"], str(raft["term"]), str(raft["commit"])] if raft else ["[red]silent[/red]", "", ""]
        table.add_row(view.url, *cells, str(len(view.cluster["peers"])) if view.cluster else "", state)
    factor = physical_factor({view.url: view.collections.get(outputs["physicalCollection"]) for view in views})
    reasons = unsettled(views)
    table.caption = f"collection {outputs['collection']}: {factor} Active replicas of every shard; " + (
        "settled" if not reasons else f"not settled: {'; '.join(reasons[:3])}; wait, or make up"
    )
    in_traffic = all(state.startswith("UP") for state in traffic)
    table.caption += "" if in_traffic else "; make up gives every node traffic again"
    return table, not reasons and in_traffic


def _traffic(outputs: dict[str, Any]) -> list[str]:
    """What the balancer says of each node; a node that was left out of traffic shows here and nowhere else."""
    servers = servers_of(outputs)
    states: dict[str, set[str]] = {server: set() for server in servers}
    try:
        for balancer in balancers_of(outputs):
            for server in servers:
                states[server] |= set(balancer.states(server).values())
    except (BalancerUnreachable, RuntimeError):
        return ["no balancer"] * len(servers)
    return [", ".join(sorted(states[server])) or "no balancer" for server in servers]


def parts_note(parts: Parts) -> str:
    """One line that names every part that is not the real thing."""
    stand_ins = [part.part for part in parts.parts if not part.real]
    return f"Stand-ins, not the real thing: {', '.join(stand_ins)}." if stand_ins else "Every part is the real thing."


def _part(part: Part | None) -> str:
    if part is None:
        return "real"
    return f"{part.used}\n" + ("real" if part.real else f"[yellow]stand-in for {part.wanted}[/yellow]")


def _state(url: str, path: str, headers: Mapping[str, str]) -> str:
    try:
        status = direct_request("GET", local(url) + path, headers=headers, timeout=5).status_code
    except requests.RequestException as error:
        return f"no answer ({type(error).__name__}); make up mends it"
    return "well" if status == 200 else f"answers {status}; make up mends it"


def _guard_state(url: str, path: str) -> str:
    """Well when Kong itself refuses a call without a token: a refusal by the service behind it means an open route."""
    seen = observe_route(url, path, {})
    if seen.refused:
        return "well"
    mends = "make up" if seen.unrouted else "make up REFRESH=1"
    return f"expected a refusal by Kong, found {seen}; " + ("look again" if seen.flooded else f"{mends} mends it")
