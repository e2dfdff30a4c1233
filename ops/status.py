"""What runs, whether it is well, and whether it is the real thing."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from rich.markup import escape

from access.direct import direct_request
from access.haproxy import BalancerUnreachable
from access.kong import AdminApi, observe_route
from access.kubernetes.tunnel import local
from ops.balancer import balancers_of, servers_of
from ops.parts import Part, Parts
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import NodeView, observe_nodes, physical_factor, unsettled
from qdrant_admin.collection.generations import first_generation

LINE_WIDTH = 80
STATE_WIDTH = 8


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
    path: str = ""  # below the URL, that people call


ENDPOINTS = (
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


def _routes(outputs: Mapping[str, Any]) -> list[Endpoint]:
    """Each service by the first path that leads to it; a stack of an earlier release knows the reference one only."""
    paths: Mapping[str, str] = outputs.get("routes", {"rag-service": "/api/v1/rag"})
    return [
        Endpoint(name=name, output="gatewayUrl", part="kong", what="through the gateway, with a JWT",
                 health=path, guarded=True, path=path)
        for name, path in paths.items()
    ]  # fmt: skip


Listing = tuple[list[str], bool]  # lines to print as they are, and whether all that they name is well


def endpoint_list(outputs: dict[str, Any], parts: Parts) -> Listing:
    """Each endpoint with its state, its URL and the part behind it."""
    lines, well = ["[bold]The stack[/bold]"], True
    for endpoint in (*_routes(outputs), *ENDPOINTS):
        if not outputs.get(endpoint.output):
            continue  # this stack has none, as a Kong without a database has no Admin API
        url = str(outputs[endpoint.output])
        headers = AdminApi(url=url, token=outputs.get(endpoint.token, "")).headers
        state = _guard_state(url, endpoint.health) if endpoint.guarded else _state(url, endpoint.health, headers)
        well &= state == "well"
        lines += [*_entry(state, state == "well", f"{endpoint.name}  {url}{endpoint.path}"), *_detail(endpoint.what)]
        lines += _detail(_part(parts.of(endpoint.part)))
    return lines, well


def cluster_list(outputs: dict[str, Any]) -> Listing:
    """Each node of Qdrant, the collection's physical replication, and whether all is settled."""
    urls, key = outputs["qdrantNodeUrls"], outputs["qdrantApiKey"]
    views = observe_nodes([QdrantApi(url, key, timeout_seconds=3) for url in urls])
    lines = ["[bold]The Qdrant cluster[/bold]"]
    traffic = _traffic(outputs)
    for view, state in zip(views, traffic, strict=True):
        raft = view.cluster["raft_info"] if view.cluster else None
        lines += _entry(state, state.startswith("UP"), view.url)
        peers = len(view.cluster["peers"]) if view.cluster else 0
        lines += _detail(
            f"{raft['role']}, term {raft['term']}, commit {raft['commit']}, {peers} peers" if raft else "silent"
        )
    for caption in _collections(outputs, views):
        lines += _wrapped(caption, "")
    reasons = unsettled(views)
    caption = "settled" if not reasons else f"not settled: {'; '.join(reasons[:3])}; wait, or make up"
    in_traffic = all(state.startswith("UP") for state in traffic)
    caption += "" if in_traffic else "; make up gives every node traffic again"
    return [*lines, *_wrapped(caption, "")], not reasons and in_traffic


def _collections(outputs: dict[str, Any], views: Sequence[NodeView]) -> Iterator[str]:
    """Each collection that any node knows, with its physical replication: those of the stack by their aliases."""
    served = outputs.get("collections") or {outputs["collection"]: outputs["physicalCollection"]}
    names = {physical: alias for alias, physical in served.items()}
    unreadable = {name for view in views for name in view.unreadable}
    others = sorted(({name for view in views for name in view.collections} | unreadable) - names.keys())
    for name in (*names, *others):
        factor = physical_factor({view.url: view.collections.get(name) for view in views})
        earlier = next(
            (alias for physical, alias in names.items() if first_generation(name) == first_generation(physical)), ""
        )
        unknown = f"{name}, before {earlier}" if earlier else f"{name!r}, which the stack does not declare"
        copies = "cannot be read" if name in unreadable and not factor else f"{factor} Active replicas of every shard"
        yield f"collection {names.get(name, unknown)}: {copies}"


def _entry(state: str, well: bool, what: str) -> list[str]:
    """The first lines of an entry: its state, with a colour, and what it is about."""
    color = "green" if well else "red"
    if len(state) <= STATE_WIDTH:
        return [f"[{color}]{state:<{STATE_WIDTH}}[/{color}] {escape(what)}"]
    return [f"[{color}]{'not well':<{STATE_WIDTH}}[/{color}] {escape(what)}", *_detail(state)]


def _detail(text: str) -> list[str]:
    return _wrapped(text, " " * (STATE_WIDTH + 1))


def _wrapped(text: str, indent: str) -> list[str]:
    """Lines of at most 80 columns; a URL, an image or a word is never cut, even where it is longer."""
    wrapper = textwrap.TextWrapper(
        LINE_WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [escape(line) for line in wrapper.wrap(text)]


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
    return f"{part.used}, " + ("real" if part.real else f"stand-in for {part.wanted}")


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
