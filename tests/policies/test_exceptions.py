"""Exceptions: what is one, what it covers, and when it is none any more."""

from datetime import date
from typing import Any

import pytest

from policies.exceptions import PolicyException, entries, granted, parsed, unexcused
from policies.rule import Violation
from policies.security.exception_rules import exceptions_are_written_and_dated
from tests.policies.stacks import TODAY, root

WRITTEN = {
    "rule": "images-are-pinned",
    "resource": "gateway/*",
    "reason": "the vendor publishes no versions",
    "expires": "2026-12-31",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"rule": "images-are-cheap"}, "is no rule"),
        ({"reason": "todo"}, "write a sentence"),
        ({"expires": "2026-11-24"}, "expired on"),
        ({"expires": "2026-11-25"}, ""),  # its last day is one
        ({"expires": "2030-01-01"}, "within 366 days"),
        ({"expires": "next year"}, "expected the last day"),
        ({"who": "me"}, "expected the keys"),
    ],
)
def test_what_is_wrong_with_an_exception_is_reported(changed: dict[str, str], said: str) -> None:
    found = exceptions_are_written_and_dated.judge([root(WRITTEN | changed)])
    assert bool(found) is bool(said)
    assert all(said in violation.text for violation in found)


@pytest.mark.parametrize(
    ("rule", "where", "today", "excused"),
    [
        ("images-are-pinned", "gateway/kong", TODAY, True),
        ("images-are-pinned", "qdrant/haproxy", TODAY, False),
        ("data-is-protected", "gateway/kong", TODAY, False),
        ("images-are-pinned", "gateway/kong", date(2026, 12, 31), True),
        ("images-are-pinned", "gateway/kong", date(2027, 1, 1), False),
    ],
)
def test_an_exception_covers_its_rule_its_resource_and_its_time(
    rule: str, where: str, today: date, excused: bool
) -> None:
    exception = parsed(WRITTEN)
    assert isinstance(exception, PolicyException)
    assert (unexcused(rule, [Violation(where, "bad")], [exception], today) == []) is excused


@pytest.mark.parametrize("text", ["{", '"all of them"', "[1]"])
def test_what_is_no_list_of_exceptions_excuses_nothing_and_is_reported(text: str) -> None:
    config: dict[str, Any] = {"rag-platform:policyExceptions": text}
    assert granted(config) == []
    assert all(isinstance(parsed(entry), str) for entry in entries(config))
    assert exceptions_are_written_and_dated.judge([root(*entries(config))])


def test_a_stack_without_exceptions_has_none() -> None:
    assert entries({"rag-platform:platform": "docker"}) == []
