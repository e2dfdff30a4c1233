"""The status listener: whether this node is up and ready, and its metrics."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

from sandbox.kong.call import JSON
from sandbox.kong.metrics import Samples, labelled
from sandbox.kong.node import Node
from sandbox.kong.schemas import Row
from sandbox.kong.settings import TOKEN, VERSION
from sandbox.kong.store import Memory
from sandbox.kong.wire import Request, Response, Server

STATES = ("healthchecks_off", "healthy", "unhealthy", "dns_error")


def as_json(status: int, body: Any) -> Response:
    """An answer of Kong's own interfaces."""
    content = b"" if body is None else json.dumps(body).encode()
    return Response(status, [JSON, ("Access-Control-Allow-Origin", "*"), ("Server", TOKEN)], content)


class Status:
    """Answers what arrives on the status listener."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def __call__(self, request: Request) -> Response:
        path = request.target.partition("?")[0]
        if path == "/status/ready" and request.method == "POST":
            self.node.draining = b"draining" in request.body
            return as_json(204, None)
        reachable = await self.node.reachable()
        if path == "/metrics":
            text = self.node.metrics.render(_gauges(self.node, reachable))
            return Response(200, [("Content-Type", "text/plain; charset=UTF-8")], text.encode())
        if path == "/status/ready":
            wrong = "draining" if self.node.draining else self._unready(reachable)
            return as_json(503 if wrong else 200, {"message": wrong or "ready"})
        return as_json(200, _state(reachable)) if path == "/status" else as_json(404, {"message": "Not found"})

    def _unready(self, reachable: bool) -> str:
        if not reachable:
            return "failed to connect to database"
        empty = isinstance(self.node.store, Memory) and self.node.store.empty
        return "no configuration available (empty configuration present)" if empty else ""


def _state(reachable: bool) -> Row:
    connections = {"connections_active": Server.active, "connections_accepted": Server.accepted}
    connections |= {"connections_handled": Server.accepted, "total_requests": Server.requests}
    memory = {"resident_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    return {"database": {"reachable": reachable}, "server": connections, "memory": memory}


def _gauges(node: Node, reachable: bool) -> Iterator[tuple[str, Samples]]:
    if node.metrics.shows_health:
        yield "upstream_target_health", dict(_target_health(node))
    states = {"accepted": Server.accepted, "handled": Server.accepted, "total": Server.requests, "reading": 0}
    states |= {"active": Server.active, "writing": Server.busy, "waiting": Server.active - Server.busy}
    http = {"node_id": node.id, "subsystem": "http"}
    yield "nginx_connections_total", {labelled(**http, state=state): value for state, value in states.items()}
    yield "nginx_requests_total", {labelled(**http): Server.requests}
    yield "nginx_timers", {labelled(state="running"): len(asyncio.all_tasks()), labelled(state="pending"): 0}
    yield "nginx_metric_errors_total", {"": 0}
    yield "datastore_reachable", {"": int(reachable)}
    yield "node_info", {labelled(node_id=node.id, version=VERSION): 1}
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # of this process: it has no Lua
    worker = {"node_id": node.id, "pid": os.getpid(), "kong_subsystem": "http"}
    yield "memory_workers_lua_vms_bytes", {labelled(**worker): resident}
    counters = labelled(node_id=node.id, shared_dict="kong_rate_limiting_counters", kong_subsystem="http")
    yield "memory_lua_shared_dict_bytes", {counters: sys.getsizeof(node.counters)}
    yield "memory_lua_shared_dict_total_bytes", {counters: 12 * 2**20}


def _target_health(node: Node) -> Iterator[tuple[str, int]]:
    for name, balancer in node.balancers.items():
        for target, peers in balancer.peers.items():
            found = [(f"{peer.ip}:{peer.port}", balancer.state(peer).lower()) for peer in peers] or [("", "dns_error")]
            for address, now in found:
                for state in STATES:
                    where = labelled(upstream=name, target=target, address=address, state=state, subsystem="http")
                    yield where, int(state == now)
