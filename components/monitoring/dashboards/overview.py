"""RAG Services Overview: is it up, is it fast, is every replica Active, on one screen; below it each hop by itself."""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.common import StackingMode

from components.monitoring.dashboards.board import Section, board
from components.monitoring.dashboards.hops import hops
from components.monitoring.dashboards.panels import graph, impacts, lamp, number, query, rows, runbook, thresholds
from components.monitoring.promises import Promises


def overview(promises: Promises) -> dashboard.Dashboard:
    """Return the dashboard a person opens first."""
    return board(
        "rag-overview",
        "RAG Services Overview",
        "From the gateway to the vectors: breakers, latency, cluster, traffic, errors.",
        Section("", 7, (12, 12, 12, 12), [_breakers(), _latency(promises), _qdrant(), _requests()]),
        Section("", 7, (8, 8, 8), _state(promises)),
        *hops(promises),
    )


def _breakers() -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .title("Circuit breakers")
        .description("Open: the service answers 503 without trying. Half-open: one call tries whether it works again.")
        .with_target(query("max by (job, name) (circuit_breaker_state)", "{{job}} {{name}}").range())
        .unit("none")
        .mappings(impacts(closed=(0, "green"), half_open=(1, "yellow"), open=(2, "red")))
        .thresholds(thresholds((None, "green"), (1, "yellow"), (2, "red")))
        .links([runbook("CircuitBreakerOpen")])
    )


def _latency(promises: Promises) -> timeseries.Panel:
    rag = "sum by (job, operation, le) (rate(rag_query_duration_seconds_bucket[$__rate_interval]))"
    kong = "sum by (service, le) (rate(kong_upstream_latency_ms_bucket[$__rate_interval]))"
    return graph(
        "Query latency P95",
        "As the RAG service measures itself, and as Kong sees it. Kong interpolates between 400 and 700 ms.",
        "s",
        {
            "{{job}} {{operation}}": f"histogram_quantile(0.95, {rag})",
            "Kong to {{service}}": f"histogram_quantile(0.95, {kong}) / 1000",
        },
        limit=promises.query_p95_seconds,
        alert="RagLatencyHigh",
        nothing="no traffic",
    )


def _qdrant() -> table.Panel:
    columns = {
        "Up": "up",
        "Peers": "cluster_peers_total",
        "Term": "cluster_term",
        "Commit": "cluster_commit",
        "Voter": "cluster_voter",
        "Pending operations": "cluster_pending_operations_total",
    }
    panel = rows(
        "Qdrant cluster",
        "Settled: all rows agree, all vote, nothing is pending. A lost node keeps its row but no numbers.",
        "none",
        {name: f'max by (node) ({metric}{{job="qdrant-cluster"}})' for name, metric in columns.items()},
        alert="QdrantNodeDown",
    )
    panel.override_by_name("Up", lamp(up=(1, "green"), down=(0, "red")))
    return panel.override_by_name("Voter", lamp(voter=(1, "green"), learner=(0, "yellow")))


def _requests() -> timeseries.Panel:
    panel = graph(
        "Kong request rate by code",
        "429 is the rate limit, 401 a missing or bad token. Requests that match no route are not counted.",
        "reqps",
        {"{{code}}": "sum by (code) (rate(kong_http_requests_total[$__rate_interval]))"},
        nothing="no traffic",
    )
    return panel.fill_opacity(25).stacking(StackingConfig().mode(StackingMode.NORMAL))


def _state(promises: Promises) -> list[timeseries.Panel | stat.Panel]:
    return [
        graph(
            "Error rate",
            "Share of requests that Kong answered with 5xx in the last 5 minutes; the line is what is promised.",
            "percentunit",
            {"5xx": "gateway:errors:ratio_rate5m"},
            limit=promises.budget.slo.availability.error_budget,
            alert="AvailabilityBudgetBurnsFast",
            nothing="no traffic",
        ),
        number(
            "Alerts that fire",
            "By severity: a page cannot wait, a ticket can until the working day.",
            "none",
            {"{{severity}}": 'sum by (severity) (ALERTS{alertstate="firing",severity=~"page|ticket"})'},
            thresholds((None, "green"), (1, "red")),
            nothing="none",
        ),
        number(
            "Reachable targets",
            "Share of each job's targets that answered their last scrape.",
            "percentunit",
            {"{{job}}": "job:up:ratio"},
            thresholds((None, "red"), (0.5, "yellow"), (1, "green")),
            alert="PrometheusTargetMissing",
        ),
    ]
