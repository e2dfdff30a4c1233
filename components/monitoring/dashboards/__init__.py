"""Dashboards as code."""

from components.monitoring.dashboards.overview import overview
from components.monitoring.dashboards.panels import DATASOURCE_UID, to_json
from components.monitoring.promises import Promises

__all__ = ["DATASOURCE_UID", "dashboard_files"]


def dashboard_files(promises: Promises) -> dict[str, str]:
    """Return file name -> JSON of every dashboard, ready to be provisioned."""
    return {f"{board.uid}.json": to_json(board) for board in (overview(promises),)}
