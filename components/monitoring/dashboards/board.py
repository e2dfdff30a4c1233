"""What all of our dashboards have: the same time, the same links to the others, the same marks of starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.text import TextMode

from components.monitoring.dashboards.panels import DATASOURCE, query
from components.monitoring.dashboards.runbooks import UID, panel_id, sections

TAG = "rag-platform"
SCHEMA = 41  # what Grafana 12.0 knows; the SDK writes that of a newer one, which 12 cannot migrate

# What shows a start: Qdrant has no start time, but its counters are reset; Kong gets a new node id.
STARTS = {
    "RAG service started": ('changes(process_start_time_seconds{job=~"rag-.*|llamaindex-query"}[1m]) > 0', "{{job}}"),
    "Qdrant started": ('resets(process_minor_page_faults_total{job="qdrant-cluster"}[1m]) > 0', "{{node}}"),
    "Kong started": ("kong_node_info unless kong_node_info offset 1m", "{{instance}} {{version}}"),
    "HAProxy started": ("changes(haproxy_process_start_time_seconds[1m]) > 0", "{{instance}}"),
}
COLOURS = ("blue", "purple", "orange", "yellow")


@dataclass(frozen=True)
class Section:
    """Panels under a heading, each as wide as its span (24 are a full line); without a heading there is no row."""

    heading: str
    height: int
    spans: Sequence[int]
    panels: Sequence[Any]


def board(
    uid: str, title: str, description: str, *sections: Section, variables: Sequence[Any] = ()
) -> dashboard.Dashboard:
    """Return a dashboard of these sections, from top to bottom."""
    made = build.Dashboard(title).uid(uid).tags([TAG]).readonly().description(description)
    made.refresh("15s").time("now-1h", "now").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    made.link(
        build.DashboardLink("RAG platform").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True)
    )
    for variable in variables:
        made.with_variable(variable)
    for color, (name, (expr, legend)) in zip(COLOURS, STARTS.items(), strict=True):
        made.annotation(_mark(name, expr, legend, color))
    number = 0
    for section in sections:
        if section.heading:
            made.with_row(build.Row(section.heading).id(number := number + 1))
        for panel, span in zip(section.panels, section.spans, strict=True):
            panel.id(number := number + 1).datasource(DATASOURCE)
            made.with_panel(panel.span(span).height(section.height))
    built = made.build()
    built.schema_version = SCHEMA
    return built


def _mark(name: str, expr: str, legend: str, color: str) -> build.AnnotationQuery:
    """A mark at each start: of a deployment, or of a restart that was not asked for."""
    mark = build.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(color)
    return mark.target(query(expr, legend)).expr(expr).title_format(name).text_format(legend).step("15s")


def choice(name: str, metric: str, label: str) -> build.QueryVariable:
    """Return a variable over the values that a label has in a metric; all of them by default."""
    asked = f"label_values({metric}, {label})"
    variable = build.QueryVariable(name).label(label).datasource(DATASOURCE).query({"query": asked, "refId": name})
    variable.definition(asked).refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True)
    return variable.all_value(".*").current(dashboard.VariableOption(text="All", value="$__all", selected=True))


def runbook_board() -> dashboard.Dashboard:
    """Return the dashboard that panels link to: one panel for each alert's runbook, which a link shows by itself."""
    made = build.Dashboard("Runbooks").uid(UID).tags([TAG]).readonly().description("What to do, alert by alert.")
    for alert, content in sections().items():
        panel = text.Panel().title(alert or "How to ask").mode(TextMode.MARKDOWN).content(content)
        made.with_panel(panel.id(panel_id(alert)).span(24).height(9))
    built = made.build()
    built.schema_version = SCHEMA
    return built


def to_json(made: dashboard.Dashboard) -> str:
    """Return a dashboard as Grafana reads it from a file; sorted, so that a change is a small diff."""
    return orjson.dumps(made, JSONEncoder().default, orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode()
