"""What the prometheus plugin counts, under Kong's names; its switches decide what is counted."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from sandbox.kong.call import Call, size
from sandbox.kong.wire import Response

UPSTREAM_BUCKETS = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
KONG_BUCKETS = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
BUCKETS = {"kong": KONG_BUCKETS, "upstream": UPSTREAM_BUCKETS, "request": UPSTREAM_BUCKETS}
COUNTERS = ("http_requests_total", "bandwidth_bytes", "nginx_metric_errors_total")
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
        self.shows_health = False  # as on Kong: off until a request was logged

    def log(self, call: Call, response: Response, latencies: Mapping[str, int]) -> None:
        """Count a call as the plugin's configuration wants; latencies are in ms, by clock."""
        assert call.match
        switches, route, service = call.plugins["prometheus"], call.match.route, call.match.service
        self.shows_health = switches["upstream_health_metrics"]
        where = {"service": service["name"] or service["host"], "route": route["name"] or route["id"]}
        consumer = (call.consumer or {}).get("username") or "" if switches["per_consumer"] else ""
        caller = {"workspace": "default", "consumer": consumer}
        if switches["status_code_metrics"]:
            source = "service" if "upstream" in latencies else "kong"
            labels = labelled(**where, code=response.status, source=source, **caller)
            self._counters["http_requests_total"][labels] += 1
        if switches["bandwidth_metrics"]:
            sizes = {"ingress": call.ingress, "egress": size(response.headers, response.body)}
            for direction, count in sizes.items():
                self._counters["bandwidth_bytes"][labelled(**where, direction=direction, **caller)] += count
        for clock, milliseconds in latencies.items() if switches["latency_metrics"] else ():
            counts = self._latencies.setdefault((clock, *where.values()), [0] * (len(BUCKETS[clock]) + 2))
            counts[bisect_left(BUCKETS[clock], milliseconds)] += 1
            counts[-1] += milliseconds

    def render(self, gauges: Iterable[tuple[str, Samples]]) -> str:
        """The counts and the node's gauges, in Prometheus' text format."""
        counted = [*self._counters.items(), *((f"{clock}_latency_ms", self._histogram(clock)) for clock in BUCKETS)]
        return "\n".join(line for name, samples in (*counted, *gauges) for line in _family(name, samples)) + "\n"

    def _histogram(self, clock: str) -> Samples:
        samples: dict[str, float] = {}
        for service, route in [key[1:] for key in self._latencies if key[0] == clock]:
            *counts, total = self._latencies[clock, service, route]
            where = {"service": service, "route": route, "workspace": "default"}
            for bound, count in zip((*BUCKETS[clock], "+Inf"), accumulate(counts), strict=True):
                samples["_bucket" + labelled(**where, le=bound)] = count
            samples |= {"_count" + labelled(**where): sum(counts), "_sum" + labelled(**where): total}
        return samples


def _family(name: str, samples: Samples) -> list[str]:
    kind = "histogram" if name.endswith("_ms") else "counter" if name in COUNTERS else "gauge"
    head = [f"# TYPE kong_{name} {kind}"] if samples else []
    return head + [f"kong_{name}{labels} {value}" for labels, value in samples.items()]
