"""SLO: what is promised to clients, how much of each budget is left, and how fast it burns."""

from typing import Any

from grafana_foundation_sdk.models import dashboard

from components.monitoring.dashboards.board import Section, board
from components.monitoring.dashboards.panels import graph, number, thresholds
from components.monitoring.promises import Promises
from components.monitoring.rules.slo import FAST, SLOW, Burn, Slo, slos


def slo_board(promises: Promises) -> dashboard.Dashboard:
    """Return the dashboard of the promises in slo/promises.yaml."""
    sections = [
        Section(f"{slo.name.capitalize()}: {slo.objective:.2%} {slo.promise}", 8, (4, 7, 7, 6), _panels(slo))
        for slo in slos(promises)
    ]
    note = "Budgets of slo/promises.yaml, as the gateway counts its clients' requests; refused calls count nowhere."
    return board("rag-slo", "SLO", note, *sections)


def _panels(slo: Slo) -> list[Any]:
    alerts = {burns[0].pace: f"{slo.name.capitalize()}BudgetBurns{burns[0].pace}" for burns in (FAST, SLOW)}
    return [
        number(
            "Budget left",
            f"Of what may go wrong in {slo.window_days} days; below 0 the promise is broken.",
            "percentunit",
            {slo.name: f"slo:budget_left:ratio{slo.where}"},
            thresholds((None, "red"), (0, "orange"), (0.5, "green")),
            alert=alerts["Slow"],
            nothing="no traffic",
        ),
        graph(
            "Broken promises",
            "Share of the requests of each window; the line is what is promised.",
            "percentunit",
            {f"last {window}": f"slo:broken:ratio_{window}{slo.where}" for window in ("5m", "1h", "1d")},
            limit=slo.error_budget,
            alert=alerts["Fast"],
            nothing="no traffic",
        ),
        *(_burn(slo, burn, alerts[burn.pace]) for burn in (FAST[0], SLOW[0])),
    ]


def _burn(slo: Slo, burn: Burn, alert: str) -> Any:
    factor = burn.factor(slo.window_days)
    return graph(
        f"Burn over {burn.long}",
        f"1 uses the budget up in {slo.window_days} days. At {factor:g} over {burn.long} and {burn.short}"
        f" it is a {burn.severity}.",
        "none",
        {window: f"slo:broken:ratio_{window}{slo.where} / {slo.error_budget}" for window in (burn.long, burn.short)},
        limit=factor,
        alert=alert,
        nothing="no traffic",
    )
