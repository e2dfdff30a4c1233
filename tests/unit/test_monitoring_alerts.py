"""Real Prometheus rule evaluation: each alert fires when it should, and keeps silent in a case that is nearly one."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.monitoring.promises import REFERENCE_JOBS, Promises
from components.monitoring.rules import rule_groups
from components.monitoring.rules.pace import UNITS
from components.monitoring.rules.rule import Alert
from tests.unit.faults import FAULTS
from tests.unit.faults.fault import Fault, Series, kong, qdrant, requests

PROMISES = Promises(service_jobs=(*REFERENCE_JOBS, "notes"))
RULES = rule_groups(PROMISES)
ALERTS = {rule.name: rule for rules in RULES.values() for rule in rules if isinstance(rule, Alert)}
GROUP = {rule.name: group for group, rules in RULES.items() for rule in rules}
QUARTER_OF_AN_HOUR = 15 * 60

RECORDINGS: list[tuple[Series, str, float | None]] = [
    (requests(_200=10), "gateway:errors:ratio_rate5m", 0),
    (requests(_200=3, _503=1), "gateway:errors:ratio_rate5m", 0.25),
    (requests(_200=0), "gateway:errors:ratio_rate5m", None),
    (requests(_200=1, _429=3), "gateway:limited:ratio_rate5m", 0.75),
    (qdrant("up", "1x60", "1x60", "0x60"), "qdrant_cluster_nodes_up", 2),
    (qdrant("collection_dead_replicas", "2x60", "2x60"), "qdrant:dead_replicas:max", 2),
    (kong("up", "1x60") | {'up{job="kong",instance="kong-1:8100"}': "0x60"}, 'job:up:ratio{job="kong"}', 0.5),
    (requests(_200=999, _500=1), 'slo:budget_left:ratio{slo="availability"}', 0),
    (requests(_200=1), 'slo:budget_left:ratio{slo="availability"}', 1),
    (requests(_401=1), 'slo:budget_left:ratio{slo="availability"}', None),
]
EACH_FAULT = pytest.mark.parametrize(
    "number", range(len(FAULTS)), ids=[f"{fault.alert}-{number}" for number, fault in enumerate(FAULTS)]
)
WRONG = "a wrong expectation"


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def scenario(name: str, series: Series, step: str, *expected: Mapping[str, object]) -> dict[str, object]:
    """Return a test as promtool reads it: `series`, and what must fire when."""
    inputs = [{"series": key, "values": values.strip()} for key, values in series.items()]
    return {"name": name, "interval": step, "input_series": inputs, "alert_rule_test": expected}


def fires(fault: Fault) -> dict[str, object]:
    alert = ALERTS[fault.alert]
    notes = {"summary": alert.summary, "description": fault.says}
    notes["runbook_url"] = f"docs/runbooks.md#{alert.name.lower()}"
    firing = {"exp_labels": {"severity": alert.severity, **fault.labels}, "exp_annotations": notes}
    return {"alertname": alert.name, "eval_time": fault.at, "exp_alerts": [firing]}


def silent(fault: Fault) -> list[dict[str, object]]:
    """Nothing at any of 60 times."""
    times = range(0, seconds(fault.at) + 1, max(seconds(fault.step), seconds(fault.at) // 60))
    return [{"alertname": fault.alert, "eval_time": f"{time}s", "exp_alerts": []} for time in times]


def recording(series: Series, expr: str, value: float | None) -> dict[str, object]:
    samples = [] if value is None else [{"labels": expr, "value": value}]
    expected = {"expr": expr, "eval_time": "15m", "exp_samples": samples}
    return scenario(expr, series, "15s") | {"promql_expr_test": [expected]}


def rules_for(name: str) -> list[dict[str, object]]:
    """The rule and the recordings of its group that it is made of, in their order: nothing else is evaluated for it."""
    group = RULES[GROUP[name]]
    needed = {name}
    for rule in reversed(group):
        if rule.name in needed:
            needed |= {each.name for each in group if re.search(rf"(?<![\w:]){each.name}(?![\w:])", rule.expr)}
    return [rule.body() for rule in group if rule.name in needed]


def promtool_tests(folder: Path, name: str, step: str, tests: list[dict[str, object]]) -> Path:
    """The real rules that `name` needs, and a file beside them in which promtool finds their tests."""
    rules, file = folder / f"{name.replace(':', '-')}.yml", folder / f"{name.replace(':', '-')}-{step}.json"
    rules.write_text(json.dumps({"groups": [{"name": GROUP[name], "rules": rules_for(name)}]}))
    file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": step, "tests": tests}))
    return file


def evaluate(promtool: str, files: list[Path]) -> str:
    """Return what promtool finds wrong in the files."""
    command = [promtool, "test", "rules", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stderr


@pytest.fixture(scope="session")
def failures(promtool: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what promtool finds wrong when it evaluates the real rules over every fault, by scenario, in one run.

    One scenario of each alert is wrong on purpose: were it not found, nothing would have been evaluated.
    """
    folder = tmp_path_factory.mktemp("rules")
    found: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for series, expr, value in RECORDINGS:
        found[expr.partition("{")[0], "15s"].append(recording(series, expr, value))
    for number, fault in enumerate(FAULTS):
        found[fault.alert, fault.step] += both(number, fault)
    for (name, step), tests in found.items():
        if name in ALERTS:
            first = next(test for test in tests if "fires" in str(test["name"]))
            expected = {**first["alert_rule_test"][0], "eval_time": "0s"}  # type: ignore[index]
            tests.append(scenario(f"{WRONG}: {name}", {}, step, expected))
    run = evaluate(promtool, [promtool_tests(folder, name, step, tests) for (name, step), tests in found.items()])
    assert [name for name, _ in found if name in ALERTS and f"name: {WRONG}: {name}," not in run] == [], run
    return run


def both(number: int, fault: Fault) -> list[dict[str, object]]:
    return [
        scenario(f"fault {number} fires", fault.series, fault.step, fires(fault)),
        scenario(f"fault {number} is silent", fault.nearly, fault.step, *silent(fault)),
    ]


@EACH_FAULT
def test_an_alert_fires_with_its_value(number: int, failures: str) -> None:
    assert f"name: fault {number} fires," not in failures, failures


@EACH_FAULT
def test_an_alert_is_silent_when_it_is_nearly_a_fault(number: int, failures: str) -> None:
    assert f"name: fault {number} is silent," not in failures, failures


@pytest.mark.parametrize("expr", {expr: None for _, expr, _ in RECORDINGS})
def test_a_recording_holds_what_it_is_named_for(expr: str, failures: str) -> None:
    assert f"expr: {json.dumps(expr)}," not in failures, failures


def test_every_alert_was_seen_firing() -> None:
    assert {fault.alert for fault in FAULTS} == set(ALERTS) - {"Watchdog"}


# Prometheus, PostgreSQL and Valkey send these counters at 0 from their start.
SENT_AT_ZERO = {"PrometheusStorageFails", "PostgresDeadlocks", "ValkeyRefusesConnections"}


def begins_well(values: str) -> bool:
    """The series holds 0 first and something else later: it was there before its fault."""
    first, *later = re.split(r"\s+", values.strip())
    return re.fullmatch(r"0(x\d+)?", first) is not None and any(value[0] in "123456789" for value in later)


def test_every_alert_fires_in_a_stack_that_has_the_fault_from_its_first_day() -> None:
    from_the_first = {fault.alert for fault in FAULTS if not any(map(begins_well, fault.series.values()))}
    assert set(ALERTS) - from_the_first - {"Watchdog"} == SENT_AT_ZERO


def test_a_series_that_was_there_before_its_fault_is_told_from_one_that_was_not() -> None:
    assert [begins_well(values) for values in ("0 1x60", "0x30 1x30", "_x30 1x30", "0x60", "0+1x60", "1x60")] == [
        *(True, True, False, False, False, False)
    ]


def test_the_watchdog_always_fires_and_never_pages(promtool: str, tmp_path: Path) -> None:
    watchdog = Fault(
        alert="Watchdog",
        series={},
        says="This alert always fires (1); when it stops, nobody is watching.",
        nearly={},
        at="0s",
    )
    file = promtool_tests(tmp_path, "Watchdog", "15s", [scenario("w", {}, "15s", fires(watchdog))])
    assert evaluate(promtool, [file]) == ""
    assert ALERTS["Watchdog"].severity == "none"
