"""Dashboards as code, one file each."""

from components.monitoring.dashboards.board import runbook_board, to_json
from components.monitoring.dashboards.gateway import gateway_board
from components.monitoring.dashboards.overview import overview
from components.monitoring.dashboards.panels import DATASOURCE_UID
from components.monitoring.dashboards.qdrant import qdrant_board
from components.monitoring.dashboards.slo import slo_board
from components.monitoring.promises import Promises

__all__ = ["DATASOURCE_UID", "dashboard_files"]


def dashboard_files(promises: Promises) -> dict[str, str]:
    """Return file name -> JSON of every dashboard, ready to be provisioned."""
    boards = (overview(promises), qdrant_board(promises), gateway_board(promises), slo_board(promises), runbook_board())
    return {f"{made.uid}.json": to_json(made) for made in boards}
