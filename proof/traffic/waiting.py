"""Waiting until clients have made some calls."""

from typing import Protocol

from access.polling import SYSTEM_CLOCK, Clock, poll, require
from proof.traffic.calls import Call


class Clients(Protocol):
    """Clients at work; `calls` is complete when they have ended."""

    @property
    def calls(self) -> list[Call]: ...

    def check(self) -> None:
        """RuntimeError when they cannot go on."""


def wait_for_calls(
    clients: Clients, count: int, stream: str, timeout_seconds: float = 60, clock: Clock = SYSTEM_CLOCK
) -> float:
    """Return when the stream has made `count` more calls, with the time; TimeoutError when it does not."""

    def made() -> int:
        return sum(call.stream == stream for call in list(clients.calls))

    before = made()

    def enough() -> None:
        clients.check()
        require(made() - before >= count, f"{made() - before}")

    poll(enough, timeout_seconds, expected=f"{count} calls of {stream}", interval_seconds=0.05, clock=clock)
    return clock.now()
