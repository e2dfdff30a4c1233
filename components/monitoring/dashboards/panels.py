"""The kinds of panel that our dashboards use, over grafana-foundation-sdk.

The SDK is pinned to its 0.0.x line on purpose: what PyPI sorts highest is an older one, for Grafana 10.
"""

from collections.abc import Mapping
from typing import TypeVar

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from components.monitoring.dashboards.runbooks import runbook_url

AnyPanel = TypeVar("AnyPanel", timeseries.Panel, stat.Panel, table.Panel)

DATASOURCE_UID = "prometheus"
DATASOURCE = common.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query on our one datasource."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(DATASOURCE)


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Return coloured steps from (lower bound, colour); the first bound is None."""
    levels = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(levels)


def impacts(**words: tuple[int, str]) -> list[dashboard.ValueMapping]:
    """Return how numbers read, from text=(value, colour)."""
    results = {
        str(value): dashboard.ValueMappingResult(text=text.replace("_", "-"), color=color)
        for text, (value, color) in words.items()
    }
    return [dashboard.ValueMap(options=results)]


def runbook(alert: str) -> DashboardLink:
    """Return a panel's link to the runbook section of the alert that it explains."""
    link = DashboardLink(f"Runbook: {alert}").type(dashboard.DashboardLinkType.LINK)
    return link.url(runbook_url(alert)).target_blank(True)


def graph(
    title: str,
    description: str,
    unit: str,
    lines: Mapping[str, str],
    *,
    alert: str = "",
    limit: float | None = None,
    nothing: str = "",
) -> timeseries.Panel:
    """Return a graph from 0 of legend -> expression, with a dashed line at `limit`.

    `nothing` is the text of an empty graph; `alert` names the runbook it links to.
    """
    legend = build.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    tooltip = build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    line = build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    steps = thresholds((None, "green")) if limit is None else thresholds((None, "green"), (limit, "red"))
    panel = timeseries.Panel().title(title).description(description).unit(unit).min(0)
    panel.legend(legend).tooltip(tooltip).thresholds(steps).thresholds_style(line)
    for ref, (words, expr) in zip("ABCDEFGH", lines.items(), strict=False):
        panel.with_target(query(expr, words, ref).range())
    return _noted(panel, alert, nothing)


def number(
    title: str,
    description: str,
    unit: str,
    lines: Mapping[str, str],
    steps: ThresholdsConfig,
    *,
    alert: str = "",
    nothing: str = "",
) -> stat.Panel:
    """Return numbers of this moment, coloured by their steps."""
    panel = stat.Panel().title(title).description(description).unit(unit).thresholds(steps)
    for ref, (words, expr) in zip("ABCDEFGH", lines.items(), strict=False):
        panel.with_target(query(expr, words, ref).instant())
    return _noted(panel, alert, nothing)


def rows(title: str, description: str, unit: str, columns: Mapping[str, str], *, alert: str = "") -> table.Panel:
    """Return a table from column -> expression, one row for each combination of labels they share."""
    panel = table.Panel().title(title).description(description).unit(unit).no_value("-")
    panel.thresholds(thresholds((None, "text")))
    for name, expr in columns.items():
        panel.with_target(query(expr, ref=name).instant().format(PromQueryFormat.TABLE))
    # Grafana calls the columns Time, the labels, and `Value #<ref>` in the order of the queries.
    step = dashboard.DataTransformerConfig
    panel.with_transformation(step(id_val="merge", options={}))
    panel.with_transformation(step(id_val="organize", options={"excludeByName": {"Time": True}}))
    panel.with_transformation(step(id_val="renameByRegex", options={"regex": "Value #(.*)", "renamePattern": "$1"}))
    return _noted(panel, alert, "-")


def lamp(**words: tuple[int, str]) -> list[dashboard.DynamicConfigValue]:
    """Return how a column reads as coloured words, from text=(value, colour)."""
    colored = dashboard.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"})
    return [colored, dashboard.DynamicConfigValue(id_val="mappings", value=impacts(**words))]


def _noted(panel: AnyPanel, alert: str, nothing: str) -> AnyPanel:
    if alert:
        panel.links([runbook(alert)])
    if nothing:
        panel.no_value(nothing)
    return panel
