"""The few words dashboards are written with, over grafana-foundation-sdk.

The SDK is pinned to its 0.0.x line on purpose: what PyPI sorts highest is an older one, for Grafana 10.
"""

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import prometheus, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

DATASOURCE_UID = "prometheus"
DATASOURCE = common.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query on our one datasource."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(DATASOURCE)


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Return coloured steps from (lower bound, colour); the first bound is None."""
    levels = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(levels)


def meanings(**words: tuple[int, str]) -> list[dashboard.ValueMapping]:
    """Return how numbers read, from text=(value, colour)."""
    results = {
        str(value): dashboard.ValueMappingResult(text=text.replace("_", "-"), color=color)
        for text, (value, color) in words.items()
    }
    return [dashboard.ValueMap(options=results)]


def graph(title: str, description: str, unit: str, limit: float | None = None) -> timeseries.Panel:
    """Return a graph from 0 with a legend, and a dashed line at `limit`."""
    legend = build.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    tooltip = build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    line = build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    steps = thresholds((None, "green")) if limit is None else thresholds((None, "green"), (limit, "red"))
    panel = timeseries.Panel().title(title).description(description).unit(unit).min(0)
    return panel.legend(legend).tooltip(tooltip).thresholds(steps).thresholds_style(line)


def to_json(board: dashboard.Dashboard) -> str:
    """Return a dashboard as Grafana reads it from a file; sorted, so that a change is a small diff."""
    return JSONEncoder(sort_keys=True, indent=2).encode(board)
