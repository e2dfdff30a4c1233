"""RAG Services Overview: is it up, is it fast, is it whole, on one screen."""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from components.monitoring.dashboards.panels import DATASOURCE, graph, meanings, query, thresholds
from components.monitoring.promises import Promises


def overview(promises: Promises) -> dashboard.Dashboard:
    """Return the dashboard a person opens first."""
    panels: tuple[statetimeline.Panel | timeseries.Panel | table.Panel | stat.Panel, ...] = (
        _breakers().span(12),
        _latency(promises).span(12),
        _qdrant().span(16),
        _errors(promises).span(8),
        _requests().span(16),
        _targets().span(8),
    )
    board = Dashboard("RAG Services Overview").uid("rag-overview").tags(["rag-platform"]).readonly()
    board.description("From the gateway to the vectors: breakers, latency, cluster, traffic, errors.")
    board.refresh("15s").time("now-1h", "now").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    for number, panel in enumerate(panels, start=1):
        board.with_panel(panel.id(number).height(8).datasource(DATASOURCE))
    built = board.build()
    built.schema_version = 41  # what Grafana 12.0 knows; the SDK writes that of a newer one, which 12 cannot migrate
    return built


def _breakers() -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .title("Circuit breakers")
        .description("Open: the service answers 503 without trying. Half-open: one call tries whether it works again.")
        .with_target(query("max by (job, name) (circuit_breaker_state)", "{{job}} {{name}}").range())
        .unit("none")
        .mappings(meanings(closed=(0, "green"), half_open=(1, "yellow"), open=(2, "red")))
        .thresholds(thresholds((None, "green"), (1, "yellow"), (2, "red")))
    )


def _latency(promises: Promises) -> timeseries.Panel:
    rag = "sum by (job, operation, le) (rate(rag_query_duration_seconds_bucket[$__rate_interval]))"
    kong = "sum by (service, le) (rate(kong_upstream_latency_ms_bucket[$__rate_interval]))"
    note = "As the RAG service measures itself, and as Kong sees it. Kong interpolates between 400 and 700 ms."
    return (
        graph("Query latency P95", note, "s", limit=promises.query_p95_seconds)
        .with_target(query(f"histogram_quantile(0.95, {rag})", "{{job}} {{operation}}", "rag").range())
        .with_target(query(f"histogram_quantile(0.95, {kong}) / 1000", "Kong to {{service}}", "kong").range())
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
    panel = (
        table.Panel()
        .title("Qdrant cluster")
        .description("Settled: all rows agree, all vote, nothing is pending. A lost node keeps its row but no numbers.")
        .unit("none")
        .no_value("-")
        .thresholds(thresholds((None, "text")))
        .override_by_name("Up", _lamp(up=(1, "green"), down=(0, "red")))
        .override_by_name("Voter", _lamp(voter=(1, "green"), learner=(0, "yellow")))
    )
    for name, metric in columns.items():
        latest = query(f'max by (node) ({metric}{{job="qdrant-cluster"}})', ref=name).instant()
        panel.with_target(latest.format(PromQueryFormat.TABLE))
    # One row per node; Grafana calls the columns Time, node, and `Value #<ref>` in the order of the queries.
    step = dashboard.DataTransformerConfig
    panel.with_transformation(step(id_val="merge", options={}))
    panel.with_transformation(step(id_val="organize", options={"excludeByName": {"Time": True}}))
    return panel.with_transformation(
        step(id_val="renameByRegex", options={"regex": "Value #(.*)", "renamePattern": "$1"})
    )


def _lamp(**words: tuple[int, str]) -> list[dashboard.DynamicConfigValue]:
    colored = dashboard.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"})
    return [colored, dashboard.DynamicConfigValue(id_val="mappings", value=meanings(**words))]


def _errors(promises: Promises) -> timeseries.Panel:
    note = "Share of requests that Kong answered with 5xx in the last 5 minutes; empty without traffic."
    panel = graph("Error rate", note, "percentunit", limit=promises.error_ratio).no_value("no traffic")
    return panel.with_target(query("gateway:errors:ratio_rate5m", "5xx").range())


def _requests() -> timeseries.Panel:
    note = "429 is the rate limit, 401 a missing or bad token. Requests that match no route are not counted."
    rate = "sum by (code) (rate(kong_http_requests_total[$__rate_interval]))"
    panel = graph("Kong request rate by code", note, "reqps").with_target(query(rate, "{{code}}").range())
    return panel.fill_opacity(25).stacking(StackingConfig().mode(StackingMode.NORMAL))


def _targets() -> stat.Panel:
    return (
        stat.Panel()
        .title("Reachable targets")
        .description("Share of each job's targets that answered their last scrape.")
        .with_target(query("job:up:ratio", "{{job}}").instant())
        .unit("percentunit")
        .thresholds(thresholds((None, "red"), (0.5, "yellow"), (1, "green")))
    )
