"""A panel or an alert on a series that nobody sends is silent for ever: every name and label must be real."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.dashboards import DATASOURCE_UID, dashboard_files
from components.monitoring.dashboards.runbooks import UID as RUNBOOK_BOARD
from components.monitoring.promises import REFERENCE_JOBS, Promises
from components.monitoring.rules import rule_groups
from components.monitoring.rules.rule import RUNBOOKS, Alert, Recording
from tests.unit.metric_catalogue import Catalogue
from tests.unit.promql_labels import Reading

Panel = dict[str, Any]

ROOT = Path(__file__).parents[2]
PROMISES = Promises(service_jobs=(*REFERENCE_JOBS, "notes"))
RULES = [rule for rules in rule_groups(PROMISES).values() for rule in rules]
ALERTS = [rule for rule in RULES if isinstance(rule, Alert)]
BOARDS = {name: json.loads(content) for name, content in dashboard_files(Promises()).items()}


def catalogue() -> Catalogue:
    """All that is sent, and all that is recorded from it."""
    known = Catalogue.read().with_series("up", {"job": frozenset(PROMISES.own_jobs), "instance": None})
    for rule in RULES:
        if isinstance(rule, Recording):
            labels = Reading(rule.expr, known).labels | {name: frozenset([word]) for name, word in rule.labels.items()}
            known = known.with_series(rule.name, labels)
    return known


KNOWN = catalogue()


def panels() -> Iterator[Any]:
    """Every panel that shows numbers, with the variables of its dashboard."""
    for board in BOARDS.values():
        variables = tuple(each["name"] for each in board.get("templating", {}).get("list", []))
        for panel in board["panels"]:
            if panel["type"] not in ("row", "text"):
                yield pytest.param(panel, variables, id=f"{board['uid']}: {panel['title']}")


EACH_PANEL = pytest.mark.parametrize(("panel", "variables"), list(panels()))


def problems(expr: str, *variables: str) -> list[str]:
    return Reading(expr, KNOWN, variables).problems


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_uses_only_series_that_exist(rule: Recording | Alert) -> None:
    assert problems(rule.expr) == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_an_alert_speaks_only_of_labels_it_has(rule: Alert) -> None:
    spoken = set(re.findall(r"\$labels\.(\w+)", rule.description + rule.summary))
    assert spoken <= set(Reading(rule.expr, KNOWN).labels)
    assert "$value" in rule.description


@EACH_PANEL
def test_a_panel_uses_only_series_that_exist(panel: Panel, variables: tuple[str, ...]) -> None:
    assert panel["targets"]
    assert [problems(target["expr"], *variables) for target in panel["targets"]] == [[]] * len(panel["targets"])


@EACH_PANEL
def test_a_legend_names_only_labels_that_are_there(panel: Panel, variables: tuple[str, ...]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert named <= set(Reading(target["expr"], KNOWN, variables).labels), target["expr"]


@pytest.mark.parametrize("board", list(BOARDS.values()), ids=lambda board: board["uid"])
def test_marks_and_variables_are_made_of_series_that_exist(board: Panel) -> None:
    marks = [mark for mark in board.get("annotations", {}).get("list", []) if mark.get("target", {}).get("expr")]
    assert len(marks) == (0 if board["uid"] == RUNBOOK_BOARD else 4)
    assert [problems(mark["expr"]) for mark in marks] == [[]] * len(marks)
    for variable in board.get("templating", {}).get("list", []):
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
        assert label in Reading(metric, KNOWN).labels


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("sum(rate(kong_http_status[5m])) or vector(0)", "nobody sends kong_http_status"),
        ("rest_responses_fail_total", "nobody sends rest_responses_fail_total"),
        ("kong_upstream_latency_ms", "nobody sends kong_upstream_latency_ms"),
        ("sum by (type) (rate(kong_bandwidth_bytes[5m]))", "no type"),
        ('cluster_working_state{state="halted"}', "nobody sends cluster_working_state"),
        ('up{job="qdrant"}', "nobody sends up"),
        ("cluster_term and on (instances) up", "no instances"),
        ("histogram_quantile(0.9, sum(rate(rag_query_duration_seconds_bucket[5m])))", "no le"),
        ('cluster_term{node=~"$node"}', "no variable $node"),
        ('{__name__=~"kong_.*"}', "a selector without a name"),
    ],
)
def test_a_series_that_no_part_sends_is_found(expr: str, problem: str) -> None:
    assert any(problem in found for found in problems(expr))


@EACH_PANEL
def test_a_panel_has_a_description_and_a_datasource(panel: Panel, variables: tuple[str, ...]) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert {source["datasource"]["uid"] for source in [panel, *panel["targets"]]} == {DATASOURCE_UID}


@EACH_PANEL
def test_a_rate_fits_the_time_shown(panel: Panel, variables: tuple[str, ...]) -> None:
    rates = [found for each in panel["targets"] for found in re.findall(r"rate\([^\[\]]*\[(.+?)\]", each["expr"])]
    assert set(rates) <= {"$__rate_interval"}


@pytest.mark.parametrize("board", list(BOARDS.values()), ids=lambda board: board["uid"])
def test_a_dashboard_can_be_provisioned_from_its_file(board: Panel) -> None:
    assert board["title"]
    assert board.get("id") is None
    assert board["schemaVersion"] <= 41
    assert "__inputs" not in board
    assert "${DS_" not in json.dumps(board)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_panels_do_not_lie_on_each_other() -> None:
    for board in BOARDS.values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, (board["uid"], panel["title"])
            assert at["x"] + at["w"] <= 24
            taken |= cells


def test_the_overview_shows_what_was_proposed_before_all_else() -> None:
    titles = [panel["title"] for panel in BOARDS["rag-overview.json"]["panels"]]
    assert titles[:5] == [
        "Circuit breakers", "Query latency P95", "Qdrant cluster", "Kong request rate by code", "Error rate",
    ]  # fmt: skip


def test_every_alert_has_its_section_in_the_runbooks_and_every_section_its_alert() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / RUNBOOKS).read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_runbook_has_the_severity_and_what_to_type(alert: Alert) -> None:
    section = (ROOT / RUNBOOKS).read_text().partition(f"## {alert.name}\n")[2].partition("\n## ")[0]
    assert section.startswith(f"`{alert.severity}`. ")
    assert "```sh\n" in section


def test_a_link_of_a_panel_leads_to_the_section_of_its_alert() -> None:
    sections = {panel["id"]: panel["title"] for panel in BOARDS[f"{RUNBOOK_BOARD}.json"]["panels"]}
    links = [link for board in BOARDS.values() for panel in board["panels"] for link in panel.get("links") or []]
    assert len(links) > 30
    for link in links:
        number = int(link["url"].rpartition("panel-")[2])
        assert link["title"] == f"Runbook: {sections[number]}"
        assert sections[number] in {alert.name for alert in ALERTS}


def test_only_what_cannot_wait_pages() -> None:
    assert {alert.name for alert in ALERTS if alert.severity == "page"} == {
        "QdrantNodeDown", "QdrantQuorumLost", "QdrantConsensusStopped", "KongDown", "KongNoTarget", "HAProxyDown",
        "HAProxyNoServer", "RagServiceDown", "ServiceDown", "AvailabilityBudgetBurnsFast", "LatencyBudgetBurnsFast",
        "PrometheusJobMissing", "DiskAlmostFull", "EdgeCertificateEnds",
    }  # fmt: skip
