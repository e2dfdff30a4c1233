"""The program obeys its own rules: in dev by those of dev, in prod by those of prod."""

import json
from datetime import date
from pathlib import Path

import pytest

from policies import catalogue
from policies.exceptions import entries, granted, unexcused
from policies.rule import Rule
from tests.policies.stacks import TODAY, root, subjects
from tests.program.engine import Engine, run_program, stack_config
from tests.program.test_own_services import OWN

CONFIG = Path(__file__).resolve().parents[2] / "policies" / "config"


YOURS = {
    "kubernetesMonitoringOperator": "true",
    "kubernetesMonitoringNamespace": "monitoring",
    "kubernetesSecretName": "ours",
}


@pytest.fixture(
    scope="module",
    params=[("dev", {}), ("prod", {}), ("prod", YOURS), ("dev", OWN), ("prod", OWN)],
    ids=[
        *("dev", "prod", "prod in a cluster with an operator and secrets of its own"),
        *("dev with services of its own", "prod with services of its own"),
    ],
)
def own(request: pytest.FixtureRequest) -> tuple[str, Engine]:
    stack, overrides = request.param
    return stack, run_program(stack, **overrides)


def unforgiven(stack: str, engine: Engine, rule: Rule, today: date = TODAY) -> list[str]:
    """What the rule says of the stack by its own configuration and exceptions."""
    config, chosen = stack_config(stack), json.loads((CONFIG / f"{stack}.json").read_text())
    everything = [root(*entries(config), today=today), *subjects(engine)[1:]]
    found = rule.judge(everything, chosen.get(rule.name))
    return list(map(str, unexcused(rule.name, found, granted(config), today)))


@pytest.mark.parametrize("rule", catalogue.RULES, ids=lambda rule: rule.name)
def test_the_program_obeys(own: tuple[str, Engine], rule: Rule) -> None:
    assert unforgiven(*own, rule) == []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_each_exception_of_a_stack_is_needed(stack: str) -> None:
    engine = run_program(stack)
    config, chosen = stack_config(stack), json.loads((CONFIG / f"{stack}.json").read_text())
    for exception in granted(config):
        [rule] = [rule for rule in catalogue.RULES if rule.name == exception.rule]
        found = rule.judge(subjects(engine), chosen.get(rule.name))
        assert any(exception.excuses(rule.name, violation, TODAY) for violation in found), exception


def test_an_exception_ends_on_its_day() -> None:
    engine = run_program("prod")
    [excused] = [rule for rule in catalogue.RULES if rule.name == "images-are-pinned-by-digest"]
    [watcher] = [rule for rule in catalogue.RULES if rule.name == "exceptions-are-written-and-dated"]
    assert unforgiven("prod", engine, excused, date(2027, 7, 1))
    assert unforgiven("prod", engine, watcher, date(2027, 7, 1))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_stack_configures_only_rules_and_settings_that_there_are(stack: str) -> None:
    known = {rule.name: set(rule.settings) | {"enforcementLevel"} for rule in catalogue.RULES}
    for name, chosen in json.loads((CONFIG / f"{stack}.json").read_text()).items():
        assert set(chosen) <= known[name]
