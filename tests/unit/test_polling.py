"""Waiting: what ends it, what it says, and that no test of it takes time."""

from collections.abc import Callable, Iterator

import pytest

from access.polling import NotYet, PollTimeout, poll, require, require_none
from tests.unit.fake_time import FakeTime


def probe_of(*results: object) -> Callable[[], object]:
    """Each result in turn, the last one for ever; an exception is raised."""
    coming: Iterator[object] = iter(results)
    last = results[-1]

    def probe() -> object:
        result = next(coming, last)
        if isinstance(result, Exception):
            raise result
        return result

    return probe


def test_the_first_success_ends_the_wait() -> None:
    time = FakeTime()
    assert poll(probe_of(NotYet("no"), NotYet("no"), 7), 60, expected="a seven", clock=time.clock) == 7
    assert time.seconds == 1.0


def test_one_failure_starts_the_count_of_consecutive_successes_again() -> None:
    time = FakeTime()
    results = (1, NotYet("no"), 2, 3, 4)
    assert poll(probe_of(*results), 60, expected="x", consecutive=3, clock=time.clock) == 4
    assert time.seconds == 2.0


def test_a_timeout_says_what_was_expected_what_was_found_and_what_to_do() -> None:
    with pytest.raises(PollTimeout, match=r"^expected a pod within 3 s, found 2 of 3. Run it again$") as caught:
        poll(probe_of(NotYet("2 of 3")), 3, expected="a pod", advice="Run it again", clock=FakeTime().clock)
    assert caught.value.found == "2 of 3"
    assert isinstance(caught.value, TimeoutError)


def test_only_the_named_exceptions_mean_not_yet() -> None:
    results = (OSError("refused"), 1)
    assert poll(probe_of(*results), 60, expected="x", not_yet=(OSError,), clock=FakeTime().clock) == 1
    with pytest.raises(OSError, match="refused"):
        poll(probe_of(*results), 60, expected="x", clock=FakeTime().clock)


def test_the_probe_runs_once_more_after_the_time_is_over() -> None:
    time = FakeTime()

    def slow() -> str:
        time.seconds += 100
        return "done" if time.seconds >= 200 else _not_yet()

    assert poll(slow, 60, expected="x", clock=time.clock) == "done"


def test_a_requirement_that_holds_is_silent_and_one_that_does_not_says_what_was_found() -> None:
    require(True, "never said")
    require_none([])
    with pytest.raises(NotYet, match=r"^nothing$"):
        require(0, "nothing")
    with pytest.raises(NotYet, match=r"^a; b; c; d and 1 more$"):
        require_none(["a", "b", "c", "d", "e"])


def _not_yet() -> str:
    raise NotYet("slow")
