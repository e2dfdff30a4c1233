"""Real Prometheus rule evaluation: each alert fires when it should, and keeps silent in a case that is nearly one."""

import json
import os
import subprocess
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import pytest

from components.monitoring.promises import REFERENCE_JOBS, Promises
from components.monitoring.rules import OF_PROMETHEUS, rule_files, rule_groups
from components.monitoring.rules.pace import UNITS
from components.monitoring.rules.rule import Alert
from tests.unit.faults import FAULTS
from tests.unit.faults.fault import Fault, Series, kong, qdrant, requests

PROMISES = Promises(service_jobs=(*REFERENCE_JOBS, "notes"))
ALERTS = {rule.name: rule for rules in rule_groups(PROMISES).values() for rule in rules if isinstance(rule, Alert)}
GROUP = {rule.name: group for group, rules in rule_groups(PROMISES).items() for rule in rules}
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


def evaluate(promtool: str, folder: Path, rules: list[str], step: str, tests: list[dict[str, object]]) -> str:
    """Return what promtool finds wrong when it evaluates rule files over the tests."""
    file = folder / f"{'-'.join(rules)[:40]}-{step}.json"
    files = [str(folder / name) for name in rules]
    file.write_text(json.dumps({"rule_files": files, "evaluation_interval": step, "tests": tests}))
    command = [promtool, "test", "rules", str(file)]
    env = {**os.environ, "GOGC": "off"}  # it ends before its garbage matters
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env).stderr


@pytest.fixture(scope="session")
def failures(promtool: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what promtool finds wrong when it evaluates the real rules over every fault, by scenario.

    One scenario of each run is wrong on purpose: were it not found, nothing would have been evaluated.
    """
    folder = tmp_path_factory.mktemp("rules")
    for name, content in rule_files(PROMISES).items():
        (folder / name).write_text(content)
    found = ""
    named = sorted(RECORDINGS, key=lambda each: GROUP[each[1].partition("{")[0]])
    for group, recordings in groupby(named, key=lambda each: GROUP[each[1].partition("{")[0]]):
        found += evaluate(promtool, folder, [f"{group}.yml"], "15s", [recording(*each) for each in recordings])
    numbered = sorted(enumerate(FAULTS), key=lambda each: (GROUP[each[1].alert], each[1].step))
    for (group, step), some in groupby(numbered, key=lambda each: (GROUP[each[1].alert], each[1].step)):
        tests = [test for number, fault in some for test in both(number, fault)]
        tests.append(scenario(WRONG, {}, step, {**tests[0]["alert_rule_test"][0], "eval_time": "0s"}))  # type: ignore[index]
        run = evaluate(promtool, folder, [f"{group}.yml"], step, tests)
        assert f"name: {WRONG}," in run, run
        found += run
    return found


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


def test_the_watchdog_always_fires_and_never_pages(promtool: str, tmp_path: Path) -> None:
    file = f"{OF_PROMETHEUS}.yml"
    (tmp_path / file).write_text(rule_files(PROMISES)[file])
    watchdog = Fault(
        alert="Watchdog",
        series={},
        says="This alert always fires (1); when it stops, nobody is watching.",
        nearly={},
        at="0s",
    )
    assert evaluate(promtool, tmp_path, [file], "15s", [scenario("w", {}, "15s", fires(watchdog))]) == ""
    assert ALERTS["Watchdog"].severity == "none"
