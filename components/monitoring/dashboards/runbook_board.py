"""Runbooks: one panel for each alert's section, which a link shows by itself."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.text import TextMode

from components.monitoring.dashboards.board import SCHEMA, TAG
from components.monitoring.dashboards.runbooks import UID, panel_id, sections


def runbook_board() -> dashboard.Dashboard:
    """Return the dashboard that panels link to."""
    made = build.Dashboard("Runbooks").uid(UID).tags([TAG]).readonly().description("What to do, alert by alert.")
    for alert, content in sections().items():
        panel = text.Panel().title(alert or "How to ask").mode(TextMode.MARKDOWN).content(content)
        made.with_panel(panel.id(panel_id(alert)).span(24).height(9))
    built = made.build()
    built.schema_version = SCHEMA
    return built
