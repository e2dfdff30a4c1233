"""Change everything under load, through `pulumi up` itself."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.stack import OperatorError
from proof.experiments.changes import Change
from proof.experiments.chaos import MISHAPS
from proof.report.judge import WORDS, Observed, Verdict, judge, limits_of_rolling
from proof.report.report import Figures, Measure, Section
from proof.targets.docker_stack import OwnStack, Replica
from proof.targets.docker_target import TrafficFactory, audit_and_remove, degraded_reasons_after, start_traffic
from proof.timeouts import until
from proof.traffic.clients import READ
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from slo.promises import Promises

SETTLE_SECONDS = 120
LEAVING_SECONDS = 120  # what was replaced ends its work


@dataclass
class Rolling:
    """A stack to change, who watches, and where what was seen is kept."""

    stack: OwnStack
    pace: Pace
    promises: Promises
    folder: Path
    say: Callable[[str], None]
    start_traffic: TrafficFactory = start_traffic

    def run(self, changes: Sequence[Change], times: int = 1) -> list[Section]:
        """A section for each change, all of them so many times over."""
        sections = []
        for turn in range(1, times + 1):
            for change in changes:
                self.say(f"[{turn}/{times}] {change.title}")
                section = self._told(change, f"{change.name}-{turn}")
                self.say("    kept" if section.kept else "    NOT kept")
                sections.append(section)
        return sections

    def _told(self, change: Change, name: str) -> Section:
        """Whatever befalls one change, the others are told of."""
        try:
            return self.change(change, name)
        except MISHAPS as error:
            verdict = Verdict(promise="changed and watched", expected="yes", found=str(error), kept=False)
            return Section(title=change.title, name=name, verdicts=[verdict])

    def change(self, change: Change, name: str) -> Section:
        """Make one change while clients read and write, and ask every replica for all that was acknowledged."""
        keys, trouble, made = change.keys(self.stack), "", list[tuple[str, str]]()
        before = self.stack.replicas()
        new = list(before)
        with Ledger(self.folder / f"{name}.jsonl") as ledger:
            with self.start_traffic(self.stack, self.pace, ledger) as traffic:
                baseline_start = traffic.wait_for(50, READ)
                time.sleep(self.pace.baseline_seconds)  # what is measured, and no wait for anything
                begun = time.monotonic()
                try:
                    made = self.stack.up_aside(**keys)
                    self._await_gone(change, before, new)
                except (OperatorError, *MISHAPS) as error:
                    trouble = str(error)
                done = time.monotonic()
                degraded_reasons = degraded_reasons_after(self.stack, SETTLE_SECONDS)
                ended = time.monotonic()
            entries = ledger.entries
        found = audit_and_remove(self.stack, entries)
        observed = Observed(
            name=name,
            title=change.title,
            calls=traffic.calls,
            baseline_start=baseline_start,
            fault=begun,
            fault_end=done,
            whole=done,
            ended=ended,
            acknowledged=len(entries),
            missing=found.missing,
            altered=found.altered,
            degraded_reasons=degraded_reasons,
            trouble=trouble,
            may_fail=change.may_fail,
            slow=change.slow,
        )
        verdicts = [replaced(change, made, newcomers(before, new)), *judge(observed, limits_of_rolling(self.promises))]
        return Section(observed=observed, verdicts=verdicts, figures=[gaps(observed)])

    def _await_gone(self, change: Change, before: Sequence[Replica], seen: list[Replica]) -> None:
        """Return when none is left of what the change was to replace; `seen` is what runs at the last look."""
        leaving = {replica.id for replica in before if replica.name in change.replaces}

        def gone() -> bool:
            seen[:] = self.stack.replicas()
            return leaving.isdisjoint(replica.id for replica in seen)

        until(f"the replicas that {change.name} replaces to be gone", gone, LEAVING_SECONDS)


def newcomers(before: Sequence[Replica], after: Sequence[Replica]) -> list[str]:
    """The names of those that were not there before, the oldest first."""
    known = {replica.id for replica in before}
    return [one.name for one in sorted(after, key=lambda one: one.born) if one.id not in known]


def replaced(change: Change, made: Sequence[tuple[str, str]], new: Sequence[str]) -> Verdict:
    """Whether the change replaced what it was to replace, of each component one after another: else nothing was tried.

    `made` is what `up` says it changed, `new` are the replicas that came. Components that do not need each other may
    roll at the same time. A change that is to replace nothing must be one.
    """
    if not change.replaces:
        operations = Counter(operation for operation, _ in made)
        found = ", ".join(f"{operation} {count}" for operation, count in operations.items()) or "no change"
        return Verdict(
            promise="changed", expected="something, replacing nothing", found=found, kept=bool(made) and not new
        )
    names = [name for name in new if name in change.replaces]
    return Verdict(
        promise="replaced, of each component in this order",
        expected=", ".join(change.replaces),
        found=", ".join(names) or "none",
        kept=_by_component(names) == _by_component(change.replaces),
    )


def _by_component(replicas: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for replica in replicas:
        found.setdefault(re.sub(r"-\d+$", "", replica), []).append(replica)
    return found


def gaps(observed: Observed) -> Figures:
    """How long each kind of client went without a success."""
    rows = [
        Measure(name=words, cells=[f"{observed.longest_gap(stream):.2f} s"])
        for stream, words in WORDS.items()
        if any(call.stream == stream for call in observed.calls)
    ]
    return Figures(title="Longest time without a success", columns=["seconds"], rows=rows)
