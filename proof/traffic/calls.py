"""The calls of clients, each measured from the moment it was due, and not from the moment it was sent."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of a stream; `due`, `began` and `ended` are monotonic seconds."""

    stream: str
    due: float
    began: float
    ended: float
    answered: bool
    detail: str = ""  # the error that was returned
    attempts: int = 1

    @property
    def seconds(self) -> float:
        """How long the client waited. A call that was sent late was waiting already."""
        return self.ended - self.due


def within(calls: Iterable[Call], since: float, until: float) -> list[Call]:
    """The calls that were due in that time."""
    return [call for call in calls if since <= call.due < until]


def of(calls: Iterable[Call], *streams: str) -> list[Call]:
    """The calls of these streams."""
    return [call for call in calls if call.stream in streams]


def failed(calls: Iterable[Call]) -> list[Call]:
    """The calls that got no success, retries included."""
    return [call for call in calls if not call.answered]


def quantile(calls: Iterable[Call], share: float) -> float:
    """The latency in seconds that `share` of the calls did not exceed; of all calls, failed ones too."""
    return percentile((call.seconds for call in calls), share)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of the values did not exceed. ValueError for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("expected calls, found none")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
