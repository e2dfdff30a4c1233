"""Latency over time as lines and bars of a drawing, one strip for each kind of client; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

from proof.report.judge import Observed
from proof.traffic.calls import Call, of, quantile, within
from proof.traffic.clients import ASK, READ, SEARCH, WRITE

WIDTH, LEFT, RIGHT = 1040, 64, 16
TOP, STRIP, GAP, BOTTOM = 36, 84, 26, 30
BUCKET_SECONDS, MOST_BUCKETS = 0.5, 120
FASTEST_MS, SLOWEST_MS = 1, 20_000
GRID = {1: "1 ms", 10: "10", 100: "100", 1_000: "1 s", 10_000: "10 s"}
WORDS = {
    READ: "reads through the balancer",
    SEARCH: "searches through the gateway",
    ASK: "questions through the gateway",
    WRITE: "writes, each until it is acknowledged",
}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The calls that were due in one bucket: from the fastest to the slowest, and the middle one."""

    x: float
    top: float
    bottom: float
    middle: float


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One kind of client."""

    stream: str
    label: str
    y: float
    bars: Sequence[Bar]
    failures: Sequence[float]  # where on the time axis

    @property
    def line(self) -> str:
        """The medians, as points of a polyline."""
        return " ".join(f"{bar.x:.1f},{bar.middle:.1f}" for bar in self.bars)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment on the time axis."""

    x: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """All that is drawn; lengths in pixels of a drawing that scales."""

    height: float
    strips: Sequence[Strip]
    fault: tuple[float, float]
    recovery: tuple[float, float]
    marks: Sequence[Mark]
    ticks: Sequence[Mark]
    grid: Sequence[tuple[float, str]]  # below the top of a strip
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    strip_height: int = STRIP


def chart(observed: Observed) -> Chart:
    """The drawing of one run, from the baseline to the end."""
    present = [stream for stream in WORDS if of(observed.calls, stream)]
    axis = Axis(observed.baseline_start, observed.ended)
    strips = [_strip(observed, axis, stream, row) for row, stream in enumerate(present)]
    return Chart(
        height=TOP + len(strips) * (STRIP + GAP) - GAP + BOTTOM,
        strips=strips,
        fault=(axis.x(observed.fault), axis.x(observed.fault_end)),
        recovery=(axis.x(observed.fault_end), axis.x(observed.recovered)),
        marks=_marks(observed, axis),
        ticks=[Mark(x=axis.x(observed.baseline_start + s), label=f"{s} s") for s in _round_seconds(axis.seconds)],
        grid=[(_y(ms), label) for ms, label in GRID.items()],
    )


@dataclass(frozen=True)
class Axis:
    """Time, from left to right."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        return self.until - self.since

    def x(self, moment: float) -> float:
        share = min(1.0, max(0.0, (moment - self.since) / max(self.seconds, 1e-9)))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _strip(observed: Observed, axis: Axis, stream: str, row: int) -> Strip:
    calls = within(of(observed.calls, stream), observed.baseline_start, observed.ended)
    return Strip(
        stream=stream,
        label=f"{WORDS[stream]}: {len(calls):,} calls",
        y=TOP + row * (STRIP + GAP),
        bars=[_bar(axis, begin, bucket) for begin, bucket in _buckets(calls, axis)],
        failures=sorted({axis.x(call.due) for call in calls if not call.answered}),
    )


def _buckets(calls: Sequence[Call], axis: Axis) -> list[tuple[float, list[Call]]]:
    """The middle of each bucket, and the calls that were due in it."""
    width = max(BUCKET_SECONDS, axis.seconds / MOST_BUCKETS)
    found: dict[int, list[Call]] = {}
    for call in calls:
        found.setdefault(int((call.due - axis.since) / width), []).append(call)
    return [(axis.since + (number + 0.5) * width, bucket) for number, bucket in sorted(found.items())]


def _bar(axis: Axis, moment: float, calls: Sequence[Call]) -> Bar:
    seconds = [call.seconds for call in calls]
    top, bottom, middle = (_y(value * 1000) for value in (max(seconds), min(seconds), quantile(calls, 0.5)))
    return Bar(x=axis.x(moment), top=top, bottom=max(bottom, top + 1), middle=middle)


def _y(milliseconds: float) -> float:
    """Below the top of a strip; logarithmic, so that a tenfold is always as far."""
    bounded = min(SLOWEST_MS, max(FASTEST_MS, milliseconds))
    share = log10(bounded / FASTEST_MS) / log10(SLOWEST_MS / FASTEST_MS)
    return round(STRIP * (1 - share), 1)


def _marks(observed: Observed, axis: Axis) -> list[Mark]:
    """What happened when; labels of nearly the same moment stand side by side."""
    if observed.fault >= observed.ended:
        return []  # nothing was done to it
    moments = {observed.fault: "fault", observed.fault_end: "fault ends", observed.recovered: "recovered"}
    if observed.fault_end == observed.recovered:
        moments = {observed.fault: "change begins", observed.recovered: "done"}
    marks: list[Mark] = []
    for moment, word in moments.items():
        x, label = axis.x(moment), f"{word} {moment - observed.baseline_start:.1f} s"
        if marks and x - marks[-1].x < 90:
            marks.append(Mark(x=x, label=label, anchor="start"))
            marks[-2] = Mark(x=marks[-2].x, label=marks[-2].label, anchor="end")
        else:
            marks.append(Mark(x=x, label=label))
    return marks


def _round_seconds(seconds: float) -> list[int]:
    step = next((step for step in (5, 10, 30, 60, 300) if seconds / step <= 14), 600)
    return list(range(0, ceil(seconds), step))
