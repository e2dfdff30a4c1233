"""Made-up observations of a run, for what judges and draws them."""

from dataclasses import replace
from typing import Any

from proof.report.judge import Observed
from proof.traffic.calls import Call

BASELINE, FAULT, UNDONE, RECOVERED, ENDED = 100.0, 110.0, 120.0, 125.0, 128.0


def calls(stream: str, per_second: float = 20, milliseconds: float = 10) -> list[Call]:
    """Calls at an even rate from the baseline to the end, all alike, all answered."""
    dues = [BASELINE + number / per_second for number in range(int((ENDED - BASELINE) * per_second))]
    return [Call(stream=stream, due=due, began=due, ended=due + milliseconds / 1000, answered=True) for due in dues]


def observed(**changed: Any) -> Observed:
    """A run in which everything went well, but for what is changed."""
    good = Observed(
        name="kill",
        title="A node is killed",
        calls=[*calls("read"), *calls("search", 8), *calls("write", 5)],
        baseline_start=BASELINE,
        fault=FAULT,
        fault_end=UNDONE,
        recovered=RECOVERED,
        ended=ENDED,
        acknowledged=500,
    )
    return replace(good, **changed)


def with_a(stream: str, *, at: float, milliseconds: float = 10, answered: bool = True, times: int = 1) -> list[Call]:
    """The calls of a good run, and some of another kind at one moment."""
    odd = Call(
        stream=stream, due=at, began=at, ended=at + milliseconds / 1000, answered=answered, detail="503 no server"
    )
    return [*observed().calls, *[odd] * times]
