"""What a node tells Prometheus, under Kong's names; the plugin's switches say what is counted."""

import asyncio
import os
import resource
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sandbox.kong.call import Call, size
from sandbox.kong.settings import VERSION
from sandbox.kong.wire import Response, Server

if TYPE_CHECKING:
    from sandbox.kong.node import Node

UPSTREAM_BUCKETS = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
KONG_BUCKETS = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
BUCKETS = {"kong": KONG_BUCKETS, "upstream": UPSTREAM_BUCKETS, "request": UPSTREAM_BUCKETS}
COUNTERS = ("http_requests_total", "bandwidth_bytes", "nginx_metric_errors_total")
STATES = ("healthchecks_off", "healthy", "unhealthy", "dns_error")
Samples = Mapping[str, float]


def labelled(**labels: Any) -> str:
    """`{name="value",...}` as Prometheus reads it."""
    escaped = {name: str(value).replace("\\", r"\\").replace('"', r"\"") for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if labels else ""


class Metrics:
    """Counts the calls that matched a route."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter[str]] = {"http_requests_total": Counter(), "bandwidth_bytes": Counter()}
        self._latencies: dict[tuple[str, ...], list[int]] = {}  # by clock, service, route: buckets, +Inf, sum
        self._shows_health = False  # as on Kong: off until a request was logged

    def log(self, call: Call, response: Response, latencies: Mapping[str, int]) -> None:
        """Count a call as the plugin's configuration wants; latencies are in ms, by clock."""
        assert call.match
        switches, route, service = call.plugins["prometheus"], call.match.route, call.match.service
        self._shows_health = switches["upstream_health_metrics"]
        where = {"service": service["name"] or service["host"], "route": route["name"] or route["id"]}
        consumer = (call.consumer or {}).get("username") or "" if switches["per_consumer"] else ""
        who = {"workspace": "default", "consumer": consumer}
        if switches["status_code_metrics"]:
            source = "service" if "upstream" in latencies else "kong"
            labels = labelled(**where, code=response.status, source=source, **who)
            self._counters["http_requests_total"][labels] += 1
        if switches["bandwidth_metrics"]:
            sizes = {"ingress": call.ingress, "egress": size(response.headers, response.body)}
            for direction, count in sizes.items():
                self._counters["bandwidth_bytes"][labelled(**where, direction=direction, **who)] += count
        for clock, milliseconds in latencies.items() if switches["latency_metrics"] else ():
            counts = self._latencies.setdefault((clock, *where.values()), [0] * (len(BUCKETS[clock]) + 2))
            counts[bisect_left(BUCKETS[clock], milliseconds)] += 1
            counts[-1] += milliseconds

    def render(self, node: "Node", reachable: bool) -> str:
        """Everything, in Prometheus' text format."""
        lines = [line for name, samples in self._families(node, reachable) for line in _family(name, samples)]
        return "\n".join(lines) + "\n"

    def _families(self, node: "Node", reachable: bool) -> Iterator[tuple[str, Samples]]:
        yield from self._counters.items()
        for clock in BUCKETS:
            yield f"{clock}_latency_ms", self._histogram(clock)
        if self._shows_health:
            yield "upstream_target_health", dict(_target_health(node))
        waiting = Server.active - Server.busy
        states = {"accepted": Server.accepted, "handled": Server.accepted, "total": Server.requests, "reading": 0}
        states |= {"active": Server.active, "writing": Server.busy, "waiting": waiting}
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

    def _histogram(self, clock: str) -> Samples:
        samples: dict[str, float] = {}
        for service, route in [key[1:] for key in self._latencies if key[0] == clock]:
            *counts, total = self._latencies[clock, service, route]
            where = {"service": service, "route": route, "workspace": "default"}
            for bound, count in zip((*BUCKETS[clock], "+Inf"), accumulate(counts), strict=True):
                samples["_bucket" + labelled(**where, le=bound)] = count
            samples |= {"_count" + labelled(**where): sum(counts), "_sum" + labelled(**where): total}
        return samples


def _target_health(node: "Node") -> Iterator[tuple[str, int]]:
    for name, balancer in node.balancers.items():
        for target, peers in balancer.peers.items():
            seen = [(f"{peer.ip}:{peer.port}", balancer.state(peer).lower()) for peer in peers] or [("", "dns_error")]
            for address, now in seen:
                for state in STATES:
                    where = labelled(upstream=name, target=target, address=address, state=state, subsystem="http")
                    yield where, int(state == now)


def _family(name: str, samples: Samples) -> list[str]:
    kind = "histogram" if name.endswith("_ms") else "counter" if name in COUNTERS else "gauge"
    head = [f"# TYPE kong_{name} {kind}"] if samples else []
    return head + [f"kong_{name}{labels} {value}" for labels, value in samples.items()]
