"""The golden signals of each hop: how much, how long, how often wrong, how full."""

from components.monitoring.dashboards.board import Section
from components.monitoring.dashboards.panels import graph
from components.monitoring.promises import Promises

RATE = "[$__rate_interval]"


def hops(promises: Promises) -> tuple[Section, ...]:
    """Return a row for each hop of a request: Kong, the RAG service, HAProxy, Qdrant."""
    found = {"Kong": _kong(), "RAG service": _rag(), "HAProxy": _haproxy(), "Qdrant": _qdrant(promises)}
    return tuple(Section(heading, 6, (8, 8, 8), panels) for heading, panels in found.items())


def _quantiles(metric: str, by: str) -> dict[str, str]:
    buckets = f"sum by ({by}, le) (rate({metric}_bucket{RATE}))"
    return {f"p{of * 100:g} {{{{{by}}}}}": f"histogram_quantile({of}, {buckets})" for of in (0.5, 0.99)}


def _kong() -> list[object]:
    failed = f'sum(rate(kong_http_requests_total{{code=~"5.."}}{RATE})) or vector(0)'
    return [
        graph(
            "Kong: traffic and errors",
            "Answers a second, and how many of them were 5xx.",
            "reqps",
            {"all": f"sum(rate(kong_http_requests_total{RATE})) or vector(0)", "5xx": failed},
            alert="AvailabilityBudgetBurnsFast",
        ),
        graph(
            "Kong: its own time",
            "What Kong and its plugins add to a request, without the service behind it.",
            "ms",
            _quantiles("kong_kong_latency_ms", "service"),
            nothing="no traffic",
        ),
        graph(
            "Kong: memory of its workers",
            "Lua memory; it grows with what is cached and must not grow for ever.",
            "bytes",
            {"{{instance}}": "sum by (instance) (kong_memory_workers_lua_vms_bytes)"},
            alert="KongSharedMemoryFull",
        ),
    ]


def _rag() -> list[object]:
    requests = f'sum by (job, operation) (rate(rag_requests_total{{operation!~"health|ready|metrics"}}{RATE}))'
    return [
        graph(
            "RAG: traffic and errors",
            "Requests a second by role and operation, without probes; and how many were 5xx.",
            "reqps",
            {
                "{{job}} {{operation}}": requests,
                "{{job}} 5xx": f'sum by (job) (rate(rag_requests_total{{code=~"5.."}}{RATE}))',
            },
            alert="CircuitBreakerOpen",
        ),
        graph(
            "RAG: time to a good answer",
            "Half of the answers, and 99 of 100, are no slower.",
            "s",
            _quantiles("rag_query_duration_seconds", "operation"),
            alert="RagLatencyHigh",
            nothing="no traffic",
        ),
        graph(
            "RAG: memory",
            "Resident memory of each role.",
            "bytes",
            {"{{job}}": 'sum by (job) (process_resident_memory_bytes{job=~"rag-.*|llamaindex-query"})'},
            alert="RagServiceDown",
        ),
    ]


def _haproxy() -> list[object]:
    return [
        graph(
            "HAProxy: traffic and retries",
            "Requests a second to each backend, and how many of them were sent again.",
            "reqps",
            {
                "{{proxy}}": f"sum by (proxy) (rate(haproxy_backend_http_requests_total{RATE}))",
                "{{proxy}} again": f"sum by (proxy) (rate(haproxy_backend_retry_warnings_total{RATE}))",
            },
            alert="HAProxyRetries",
        ),
        graph(
            "HAProxy: time of an answer",
            "Mean of each server's last 1,024 answers.",
            "s",
            {"{{proxy}} {{server}}": "max by (proxy, server) (haproxy_server_response_time_average_seconds)"},
            nothing="no traffic",
        ),
        graph(
            "HAProxy: queue and connections",
            "A request waits when no server takes it.",
            "none",
            {
                "waiting at {{proxy}}": "sum by (proxy) (haproxy_backend_current_queue)",
                "connections": "sum(haproxy_process_current_connections)",
            },
            alert="HAProxyQueue",
        ),
    ]


def _qdrant(promises: Promises) -> list[object]:
    failed = f'sum(rate(rest_responses_total{{status=~"5.."}}{RATE})) or vector(0)'
    return [
        graph(
            "Qdrant: traffic and errors",
            "REST answers a second of all nodes, and how many of them were 5xx; retries hide these from clients.",
            "reqps",
            {"all": f"sum(rate(rest_responses_total{RATE})) or vector(0)", "5xx": failed},
            alert="QdrantErrorRateHigh",
        ),
        graph(
            "Qdrant: time of an answer",
            "REST, answers with 200 only.",
            "s",
            _quantiles("rest_responses_duration_seconds", "endpoint"),
            nothing="no traffic",
        ),
        graph(
            "Qdrant: memory",
            "Resident memory of each node; the line is 80 % of what it may use.",
            "bytes",
            {"{{node}}": "max by (node) (memory_resident_bytes)"},
            limit=0.8 * promises.qdrant_memory_bytes,
            alert="QdrantMemoryHigh",
        ),
    ]
