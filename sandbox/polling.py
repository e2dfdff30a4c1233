"""Waiting for something outside: one loop."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll(condition: Callable[[], T | None], seconds: float, late: Callable[[], Exception], every: float = 0.1) -> T:
    """The condition's result once it is true; raises what `late` returns when the time is over."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise late()
        time.sleep(every)
    return found
