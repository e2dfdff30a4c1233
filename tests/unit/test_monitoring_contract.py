"""A panel or an alert on a metric that nobody writes is silent for ever: every name must be a real one."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from components.monitoring.dashboards import DATASOURCE_UID, dashboard_files
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_groups
from components.monitoring.rules.rule import RUNBOOKS, Alert, Recording

Panel = dict[str, Any]

ROOT = Path(__file__).parents[2]
RULES = [rule for rules in rule_groups(Promises()).values() for rule in rules]
RECORDED = {rule.name for rule in RULES if isinstance(rule, Recording)}
ALERTS = [rule for rule in RULES if isinstance(rule, Alert)]
BOARDS = {name: json.loads(content) for name, content in dashboard_files(Promises()).items()}
PANELS = [pytest.param(panel, id=panel["title"]) for board in BOARDS.values() for panel in board["panels"]]


def catalogue() -> set[str]:
    parts = yaml.safe_load((ROOT / "tests/unit/data/metric_names.yaml").read_text())
    plain = {name for part in parts.values() for name in part["names"]}
    histograms = {name for part in parts.values() for name in part.get("histograms", [])}
    return plain | {f"{name}_{kind}" for name in histograms for kind in ("bucket", "sum", "count")}


def unknown_names(expr: str) -> set[str]:
    names: set[str] = set()

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name or "a selector without a name")

    promql_parser.walk(promql_parser.parse(expr.replace("$__rate_interval", "1m")), note)
    return names - catalogue() - RECORDED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_uses_only_metrics_that_exist(rule: Recording | Alert) -> None:
    assert unknown_names(rule.expr) == set()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_uses_only_metrics_that_exist(panel: Panel) -> None:
    assert panel["targets"]
    assert [unknown_names(target["expr"]) for target in panel["targets"]] == [set()] * len(panel["targets"])


@pytest.mark.parametrize("name", ["kong_http_status", "rest_responses_fail_total", "kong_upstream_latency_ms"])
def test_a_name_that_nobody_writes_is_found(name: str) -> None:
    assert unknown_names(f"sum(rate({name}[$__rate_interval])) or vector(0)") == {name}


def test_a_selector_cannot_hide_its_name_in_a_label() -> None:
    assert unknown_names('{__name__=~"kong_.*"}') == {"a selector without a name"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_from_where(panel: Panel) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert {source["datasource"]["uid"] for source in [panel, *panel["targets"]]} == {DATASOURCE_UID}


@pytest.mark.parametrize("panel", PANELS)
def test_a_rate_fits_the_time_shown(panel: Panel) -> None:
    windows = [window for target in panel["targets"] for window in re.findall(r"\[(.+?)\]", target["expr"])]
    assert set(windows) <= {"$__rate_interval"}


def test_the_overview_can_be_provisioned_from_its_file() -> None:
    board = BOARDS["rag-overview.json"]
    assert (board["title"], board["uid"], board["refresh"]) == ("RAG Services Overview", "rag-overview", "15s")
    assert board.get("id") is None
    assert board["schemaVersion"] <= 41
    assert "__inputs" not in board
    assert "${DS_" not in json.dumps(board)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_overview_shows_what_was_proposed() -> None:
    titles = [panel["title"] for panel in BOARDS["rag-overview.json"]["panels"]]
    assert set(titles) >= {
        "Circuit breakers", "Query latency P95", "Qdrant cluster", "Kong request rate by code", "Error rate",
    }  # fmt: skip


def test_every_alert_has_its_section_in_the_runbooks_and_every_section_its_alert() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / RUNBOOKS).read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alert.name for alert in ALERTS)


def test_only_what_cannot_wait_pages() -> None:
    assert {alert.name for alert in ALERTS if alert.severity == "page"} == {
        "QdrantNodeDown", "QdrantQuorumLost", "QdrantConsensusStopped",
        "KongDown", "GatewayErrorRateHigh", "HAProxyNoServer",
    }  # fmt: skip
