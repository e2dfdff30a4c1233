"""Waiting for something outside: one loop, with a clock that tests set themselves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
SHOWN = 4  # reasons in a message


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Seconds that only grow, and a pause."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM_CLOCK = Clock()


class NotYet(Exception):
    """Raised by a probe: what it found instead of what is waited for."""


class PollTimeout(TimeoutError):
    """What was expected, within how long, and what the last probe found."""

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


def poll(
    probe: Callable[[], T],
    timeout_seconds: float,
    *,
    expected: str,
    advice: str = "",
    not_yet: tuple[type[Exception], ...] = (),
    consecutive: int = 1,
    interval_seconds: float = 0.5,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """The probe's result, once it has succeeded `consecutive` times in a row.

    A probe fails by raising `NotYet`, or one of the exceptions in `not_yet`; any other one ends the wait. It runs once
    more when the time is over, so that a slow probe is not cut off by its own duration. PollTimeout with `expected`,
    what was found last and `advice`.
    """
    failures: tuple[type[Exception], ...] = (NotYet, *not_yet)
    deadline, successes = clock.now() + timeout_seconds, 0
    while True:
        late = clock.now() > deadline
        try:
            result = probe()
        except failures as error:
            successes, found = 0, str(error)
            if late:
                message = f"expected {expected} within {timeout_seconds:.0f} s, found {found}"
                raise PollTimeout(f"{message}. {advice}" if advice else message, found) from error
        else:
            successes += 1
            if successes >= consecutive:
                return result
        clock.sleep(interval_seconds)


def require(condition: object, found: str) -> None:
    """NotYet with what was found, unless the condition holds."""
    if not condition:
        raise NotYet(found)


def require_none(reasons: Sequence[str]) -> None:
    """NotYet with the first few reasons, if there are any."""
    require(not reasons, summary(reasons))


def summary(reasons: Sequence[str]) -> str:
    """The first few of them in one line, and how many more there are."""
    more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    return "; ".join(reasons[:SHOWN]) + more
