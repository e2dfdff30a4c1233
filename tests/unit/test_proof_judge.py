"""A verdict is kept only when what was promised was seen; each promise has a run that breaks it."""

from typing import Any

import pytest

from proof.report.judge import Limits, Verdict, judge, kept, limits_of_fault, limits_of_rolling
from slo.promises import Promises
from tests.unit.observations import FAULT, RECOVERED, UNDONE, observed, with_a

LIMITS = limits_of_fault(Promises.read(), recovery_seconds=60)


def broken(limits: Limits = LIMITS, **changed: Any) -> list[str]:
    return [verdict.promise for verdict in judge(observed(**changed), limits) if not verdict.kept]


def test_a_run_without_failures_keeps_every_promise() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        ({"calls": with_a("read", at=FAULT + 1, answered=False)}, "reads: failed calls"),
        ({"calls": with_a("search", at=FAULT + 1, answered=False)}, "searches: failed calls"),
        (
            {"calls": with_a("write", at=FAULT + 1, answered=False)},
            "writes: failed calls, each sent until acknowledged",
        ),
        ({"calls": with_a("read", at=FAULT + 1, milliseconds=1001)}, "worst read"),
        ({"calls": with_a("read", at=UNDONE + 1, milliseconds=1001)}, "worst read"),
        ({"calls": with_a("read", at=FAULT + 1, milliseconds=100, times=20)}, "reads: p99 during / before"),
        ({"missing": {"node": [7]}}, "acknowledged points lost"),
        ({"altered": {"node": [7]}}, "acknowledged points lost"),
        ({"degraded_reasons": ["a shard is Dead"]}, "one cluster, same term and commit, every replica Active"),
        ({"recovered": UNDONE + 61, "ended": UNDONE + 65}, "time to recover"),
        ({"trouble": "RuntimeError: no transfer"}, "made and undone"),
        ({"acknowledged": 0}, "acknowledged points lost"),
        ({"calls": []}, "calls"),
        ({"calls": with_a("ask", at=FAULT + 1)}, "questions: calls before"),
    ],
)
def test_each_promise_can_be_broken(changed: dict[str, Any], promise: str) -> None:
    assert promise in broken(**changed)


def test_what_may_fail_may_fail_during_the_fault_and_not_a_moment_longer() -> None:
    excuse = {"search": "there is one gateway"}
    during, after = (with_a("search", at=at, answered=False) for at in (FAULT + 1, RECOVERED + 1))
    assert broken(calls=during, may_fail=excuse) == []
    assert broken(calls=after, may_fail=excuse) == ["searches: failed calls"]
    before = with_a("search", at=FAULT - 1, answered=False)
    assert broken(calls=before, may_fail=excuse) == ["searches: failed calls"]


def test_an_excuse_for_one_client_is_none_for_another() -> None:
    assert broken(calls=with_a("read", at=FAULT + 1, answered=False), may_fail={"search": "one gateway"})


def test_a_scenario_that_says_why_it_is_slow_is_not_judged_by_latency_but_by_all_else() -> None:
    slow = with_a("read", at=FAULT + 1, milliseconds=5000, times=50)
    assert broken(calls=slow, slow="no quorum") == []
    assert broken(calls=slow, slow="no quorum", missing={"node": [7]}) == ["acknowledged points lost"]


def test_too_few_calls_to_tell_a_percentile_keep_no_promise() -> None:
    few = [call for call in observed().calls if call.stream != "read" or call.due < FAULT]
    assert "reads: p99 during / before" in broken(calls=few)


def test_a_rolling_change_has_its_own_limits() -> None:
    limits = limits_of_rolling(Promises.read())
    assert broken(limits, fault_end=RECOVERED) == []
    assert broken(limits, fault_end=RECOVERED, calls=with_a("search", at=FAULT + 1, answered=False)) == [
        "searches: failed calls"
    ]


def test_no_verdict_at_all_is_no_kept_promise() -> None:
    assert not kept([])
    assert not kept([Verdict(promise="a", expected="b", found="c", kept=False)])
