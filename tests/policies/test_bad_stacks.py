"""Every bad stack is refused, by its rule and with advice; no good one is; and no rule could be left out unnoticed."""

from collections import Counter

import pytest

from policies import catalogue
from policies.rule import Rule, Subject
from tests.policies.bad_stacks import BAD_STACKS
from tests.policies.stacks import IN_FORCE, Bad, verdicts


def test_the_catalogue_is_long_enough() -> None:
    assert len(BAD_STACKS) >= 40


def test_no_good_stack_is_refused(good: list[Subject]) -> None:
    assert verdicts(good, config=IN_FORCE) == {}


@pytest.mark.parametrize("bad", BAD_STACKS, ids=lambda bad: f"{bad.rule}: {bad.path} of {bad.resource}")
def test_a_bad_stack_is_refused_by_one_rule_with_advice(good: list[Subject], bad: Bad) -> None:
    refused = verdicts(bad.of(good), config=IN_FORCE)
    assert list(refused) == [bad.rule]
    assert any(bad.says in advice for advice in refused[bad.rule])


@pytest.mark.parametrize("off", catalogue.RULES, ids=lambda rule: rule.name)
def test_a_rule_that_is_switched_off_lets_a_bad_stack_through(good: list[Subject], off: Rule) -> None:
    rules = [rule for rule in catalogue.RULES if rule is not off]
    [let_through, *_] = [bad for bad in BAD_STACKS if bad.rule == off.name]
    assert verdicts(let_through.of(good), rules, IN_FORCE) == {}


def test_every_rule_has_a_name_of_its_own() -> None:
    assert max(Counter(rule.name for rule in catalogue.RULES).values()) == 1
