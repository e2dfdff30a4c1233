"""Observations judged by promises; pure."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from proof.traffic.calls import Call, failed, of, quantile, within
from proof.traffic.clients import ASK, READ, SEARCH, WRITE
from slo.promises import Noticed, Promises

WORDS = {READ: "reads", SEARCH: "searches", ASK: "questions", WRITE: "writes"}  # in the order of the report
FEWEST_CALLS = 20  # of a stream before and during a fault, or its latency is not judged
FEWEST_ACKNOWLEDGED = 20


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One promise: what was expected, what was found, whether it was kept."""

    promise: str
    expected: str
    found: str
    kept: bool


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One run through one fault or one change; times are monotonic seconds.

    baseline -> the fault (or change) begins -> it is undone (or done) -> the target has recovered -> the clients stop.
    """

    name: str
    title: str
    calls: Sequence[Call]
    baseline_start: float
    fault: float
    fault_end: float
    recovered: float
    ended: float
    acknowledged: int
    missing: Mapping[str, Sequence[int]] = field(default_factory=dict)  # node -> ids
    altered: Mapping[str, Sequence[int]] = field(default_factory=dict)
    degraded_reasons: Sequence[str] = ()
    trouble: str = ""  # why the action failed, or could not be undone
    may_fail: Mapping[str, str] = field(default_factory=dict)  # stream -> why
    excused_seconds: float = math.inf  # how long it may, from the fault on; never longer than until the recovery
    slow: str = ""  # why latency is not judged

    @property
    def failed_calls(self) -> list[Call]:
        """The calls that got no success, from the baseline to the end."""
        return failed(within(self.calls, self.baseline_start, self.ended))

    def longest_gap(self, stream: str) -> float:
        """The longest time, in seconds, from one success of a stream to the next; all of it when there was none."""
        answered = sorted(call.ended for call in of(self.calls, stream) if call.answered)
        since, until = self.baseline_start, self.ended
        moments = [since, *(moment for moment in answered if since <= moment <= until), until]
        return max(later - earlier for earlier, later in pairwise(moments))

    @property
    def failure_counts(self) -> list[tuple[tuple[str, str], int]]:
        """(Stream, what was answered) -> how often, most frequent first."""
        return Counter((call.stream, call.detail) for call in self.failed_calls).most_common()

    @property
    def lost(self) -> set[int]:
        """The acknowledged ids that are missing or altered on any node."""
        return {point for found in (self.missing, self.altered) for points in found.values() for point in points}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What this kind of run is allowed."""

    failed_calls: int
    failed_writes_after_retry: int
    lost_points: int
    p99_ratio: float
    worst_read_ms: float | None = None
    recovery_seconds: float | None = None


def limits_of_fault(promises: Promises, recovery_seconds: float) -> Limits:
    """The limits of one fault."""
    fault = promises.fault
    return _limits(fault, fault.failed_reads, worst_read_ms=fault.worst_read_ms, recovery_seconds=recovery_seconds)


def limits_of_rolling(promises: Promises) -> Limits:
    """The limits of one rolling change, which has no end to recover from but its own."""
    return _limits(promises.rolling, promises.rolling.failed_requests)


def _limits(
    promise: Noticed, failed_calls: int, *, worst_read_ms: float | None = None, recovery_seconds: float | None = None
) -> Limits:
    return Limits(
        **promise.model_dump(include=set(Noticed.model_fields)),
        failed_calls=failed_calls,
        worst_read_ms=worst_read_ms,
        recovery_seconds=recovery_seconds,
    )


def judge(observed: Observed, limits: Limits) -> list[Verdict]:
    """A verdict for each promise; a run that had nothing to judge by has kept none."""
    return [
        *_made(observed),
        *_failures(observed, limits),
        *_latency(observed, limits),
        _ledger(observed, limits),
        *_settled(observed, limits),
    ]


def kept(verdicts: Sequence[Verdict]) -> bool:
    """Whether every promise was kept, and there was one."""
    return bool(verdicts) and all(verdict.kept for verdict in verdicts)


def _made(observed: Observed) -> Iterator[Verdict]:
    """The fault was really made, and there were clients to notice it."""
    if observed.trouble:
        yield Verdict(promise="made and undone", expected="yes", found=observed.trouble, kept=False)
    for stream in _present(observed):
        calls = of(observed.calls, stream)
        before = len(within(calls, observed.baseline_start, observed.fault))
        if not before:
            yield Verdict(promise=f"{WORDS[stream]}: calls before", expected="some", found="0", kept=False)
    if not observed.calls:
        yield Verdict(promise="calls", expected="some", found="0", kept=False)


def _present(observed: Observed) -> list[str]:
    return [stream for stream in WORDS if of(observed.calls, stream)]


def _failures(observed: Observed, limits: Limits) -> Iterator[Verdict]:
    for stream in _present(observed):
        bad = failed(within(of(observed.calls, stream), observed.baseline_start, observed.ended))
        excuse = observed.may_fail.get(stream)
        excused_until = min(observed.recovered, observed.fault + observed.excused_seconds)
        counted = [call for call in bad if not excuse or not observed.fault <= call.due < excused_until]
        allowed = limits.failed_writes_after_retry if stream == WRITE else limits.failed_calls
        total = len(within(of(observed.calls, stream), observed.baseline_start, observed.ended))
        after = ", each sent until acknowledged" if stream == WRITE else ""
        yield Verdict(
            promise=f"{WORDS[stream]}: failed calls{after}",
            expected=f"≤ {allowed}" + (f", the fault itself apart ({excuse})" if excuse else ""),
            found=_failures_found(len(counted), len(bad), total, counted),
            kept=len(counted) <= allowed,
        )


def _failures_found(counted: int, bad: int, total: int, which: Sequence[Call]) -> str:
    excused = f", {bad - counted} more during the fault" if bad > counted else ""
    first = f"; first: {which[0].detail}" if which else ""
    return f"{counted} of {total:,}{excused}{first}"


def _latency(observed: Observed, limits: Limits) -> Iterator[Verdict]:
    if observed.slow:
        return
    for stream in (READ, SEARCH):
        calls = of(observed.calls, stream)
        if not calls or stream in observed.may_fail:
            continue
        before = within(calls, observed.baseline_start, observed.fault)
        during = within(calls, observed.fault, observed.fault_end)
        if min(len(before), len(during)) < FEWEST_CALLS:
            found = f"{len(before)} and {len(during)} calls: too few to judge"
            yield Verdict(promise=f"{WORDS[stream]}: p99 during / before", expected="known", found=found, kept=False)
            continue
        yield _ratio(stream, quantile(before, 0.99), quantile(during, 0.99), limits.p99_ratio)
    if limits.worst_read_ms is not None:
        yield from _worst(within(of(observed.calls, READ, SEARCH), observed.fault, observed.ended), limits)


def _ratio(stream: str, before: float, during: float, limit: float) -> Verdict:
    return Verdict(
        promise=f"{WORDS[stream]}: p99 during / before",
        expected=f"≤ {limit:g}",
        found=f"{during / before:.2f} ({during * 1000:.0f} ms / {before * 1000:.0f} ms)",
        kept=during / before <= limit,
    )


def _worst(reads: Sequence[Call], limits: Limits) -> Iterator[Verdict]:
    if reads and limits.worst_read_ms is not None:
        worst_ms = max(call.seconds for call in reads) * 1000
        limit = limits.worst_read_ms
        yield Verdict(
            promise="worst read", expected=f"≤ {limit:,.0f} ms", found=f"{worst_ms:,.0f} ms", kept=worst_ms <= limit
        )


def _ledger(observed: Observed, limits: Limits) -> Verdict:
    missing, altered = (
        len({p for ids in found.values() for p in ids}) for found in (observed.missing, observed.altered)
    )
    tried = observed.acknowledged >= FEWEST_ACKNOWLEDGED
    return Verdict(
        promise="acknowledged points lost",
        expected=f"{limits.lost_points}",
        found=f"{len(observed.lost)} of {observed.acknowledged:,}"
        + ("" if tried else f", and fewer than {FEWEST_ACKNOWLEDGED} prove nothing")
        + (f" ({missing} missing, {altered} altered on some node)" if observed.lost else ", on every replica"),
        kept=tried and len(observed.lost) <= limits.lost_points,
    )


def _settled(observed: Observed, limits: Limits) -> Iterator[Verdict]:
    yield Verdict(
        promise="one cluster, same term and commit, every replica Active",
        expected="at the end",
        found="; ".join(observed.degraded_reasons[:3]) or "yes, three times in a row",
        kept=not observed.degraded_reasons,
    )
    if limits.recovery_seconds is not None:
        seconds = observed.recovered - observed.fault_end
        yield Verdict(
            promise="time to recover",
            expected=f"≤ {limits.recovery_seconds:g} s",
            found=f"{seconds:.1f} s" if not observed.degraded_reasons else f"not within {seconds:.0f} s",
            kept=not observed.degraded_reasons and seconds <= limits.recovery_seconds,
        )
