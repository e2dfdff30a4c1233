"""Gateway: calls by route and code, how long Kong and the service behind it take, and refused calls."""

from typing import Any

from grafana_foundation_sdk.builders import statetimeline
from grafana_foundation_sdk.models import dashboard

from components.monitoring.dashboards.board import Section, board, choice
from components.monitoring.dashboards.panels import graph, impacts, number, query, runbook, thresholds
from components.monitoring.promises import Promises

ROUTE = 'route=~"$route"'
RATE = "[$__rate_interval]"


def gateway_board(promises: Promises) -> dashboard.Dashboard:
    """Return the dashboard of Kong and of its database."""
    return board(
        "rag-gateway",
        "Gateway",
        "Kong: traffic by route and code, where the time goes, refused calls, targets.",
        Section("Traffic", 8, (12, 6, 6), _traffic()),
        Section("", 7, (12, 12), _volume()),
        Section("Time", 8, (8, 8, 8), _time(promises)),
        Section("Behind Kong", 7, (12, 4, 8), _behind()),
        Section("Kong itself", 7, (8, 8, 8), _itself()),
        variables=[choice("route", "kong_http_requests_total", "route")],
    )


def _traffic() -> list[Any]:
    failed = f'kong_http_requests_total{{code=~"5..",{ROUTE}}}'
    return [
        graph(
            "Requests by route and code",
            "Requests that match no route are not counted by Kong.",
            "reqps",
            {"{{route}} {{code}}": f"sum by (route, code) (rate(kong_http_requests_total{{{ROUTE}}}{RATE}))"},
            alert="AvailabilityBudgetBurnsFast",
            nothing="no traffic",
        ),
        graph(
            "Refused calls",
            "429: the rate limit. 401: no token, or a bad one. Kong answers both by itself.",
            "reqps",
            {"{{code}}": f'sum by (code) (rate(kong_http_requests_total{{code=~"401|429",{ROUTE}}}{RATE}))'},
            alert="GatewayCallersLimited",
            nothing="none refused",
        ),
        graph(
            "Sources of 5xx",
            "kong: no target, or a time-out; service: the RAG service itself.",
            "reqps",
            {"{{source}} {{code}}": f"sum by (source, code) (rate({failed}{RATE}))"},
            alert="AvailabilityBudgetBurnsFast",
            nothing="no errors",
        ),
    ]


def _volume() -> list[Any]:
    return [
        graph(
            "Requests by consumer",
            "A refused token belongs to no consumer.",
            "reqps",
            {"consumer {{consumer}}": f"sum by (consumer) (rate(kong_http_requests_total{{{ROUTE}}}{RATE}))"},
            nothing="no traffic",
        ),
        graph(
            "Bandwidth",
            "Bytes a second from clients (ingress) and to them (egress).",
            "Bps",
            {"{{direction}}": f"sum by (direction) (rate(kong_bandwidth_bytes{{{ROUTE}}}{RATE}))"},
            nothing="no traffic",
        ),
    ]


def _time(promises: Promises) -> list[Any]:
    limit = promises.budget.slo.latency.threshold_ms
    notes = {
        "request": "The whole request, as the client sees it; refused calls pull it down.",
        "upstream": "What the service behind Kong takes; the line is what is promised.",
        "kong": "What Kong and its plugins add.",
    }
    return [
        graph(
            f"Time: {clock}",
            note,
            "ms",
            {
                f"p{of * 100:g} {{{{route}}}}": f"histogram_quantile({of},"
                f" sum by (route, le) (rate(kong_{clock}_latency_ms_bucket{{{ROUTE}}}{RATE})))"
                for of in (0.5, 0.95, 0.99)
            },
            limit=limit if clock == "upstream" else None,
            alert="LatencyBudgetBurnsFast",
            nothing="no traffic",
        )
        for clock, note in notes.items()
    ]


def _behind() -> list[Any]:
    health = (
        statetimeline.Panel()
        .title("Targets")
        .description("As Kong's health checks see them; reported only after a worker has logged a request.")
        .with_target(
            query(
                'max by (upstream, target) (kong_upstream_target_health{state=~"healthy|healthchecks_off"})',
                "{{upstream}} {{target}}",
            ).range()
        )
        .unit("none")
        .mappings(impacts(healthy=(1, "green"), out=(0, "red")))
        .thresholds(thresholds((None, "red"), (1, "green")))
        .links([runbook("KongTargetUnhealthy")])
        .no_value("no request yet")
    )
    return [
        health,
        number(
            "Database",
            "Traffic flows on without it; configuration does not change.",
            "none",
            {"{{instance}}": "min by (instance) (kong_datastore_reachable)"},
            thresholds((None, "red"), (1, "green")),
            alert="KongDatastoreUnreachable",
        ).mappings(impacts(reachable=(1, "green"), away=(0, "red"))),
        graph(
            "PostgreSQL connections",
            "As its exporter counts them; empty in a stack without a database.",
            "none",
            {"{{state}}": "sum by (state) (pg_stat_activity_count)"},
            alert="PostgresConnectionsRunOut",
            nothing="no exporter",
        ),
    ]


def _itself() -> list[Any]:
    used = "kong_memory_lua_shared_dict_bytes / kong_memory_lua_shared_dict_total_bytes"
    return [
        graph(
            "Connections",
            "Of nginx, by state.",
            "none",
            {"{{state}}": 'sum by (state) (kong_nginx_connections_total{state=~"active|reading|writing|waiting"})'},
            alert="KongDown",
        ),
        graph(
            "Shared memory",
            "Share of each dictionary that is used.",
            "percentunit",
            {"{{shared_dict}}": f"max by (shared_dict) ({used})"},
            limit=0.9,
            alert="KongSharedMemoryFull",
        ),
        graph(
            "Worker memory",
            "Lua memory of each worker.",
            "bytes",
            {"{{instance}} {{pid}}": "max by (instance, pid) (kong_memory_workers_lua_vms_bytes)"},
            alert="KongSharedMemoryFull",
        ),
    ]
