"""Runs experiments one after another, each on a target that has recovered from the one before."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Generic

from docker.errors import DockerException
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from access.kubernetes.kube import NoCluster
from access.polling import SYSTEM_CLOCK, Clock, poll, require
from ops.stack import OperatorError
from proof.experiments.experiment import Changes, Experiment, T
from proof.experiments.replacement import gaps, newcomers, replaced
from proof.report.judge import Limits, Observed, Verdict, judge
from proof.report.report import Section
from proof.targets.readiness import audit_and_remove, degraded_reasons
from proof.targets.target import PrerequisiteRefused, Replica
from proof.traffic.clients import READ
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from proof.traffic.waiting import wait_for_calls
from slo.promises import Promises

# After any of these the run goes on with the next experiment: earlier results must be reported.
MISHAPS = (PrerequisiteRefused, DockerException, ApiException, HTTPError, NoCluster, TimeoutError, RuntimeError)
BEFORE_SECONDS = 60  # to be settled before an experiment
SETTLE_SECONDS = 120  # after a change
REPLACED_SECONDS = 120  # for the last replica that a change replaces to end its work
AFTERWARDS_SECONDS = 3  # traffic after the recovery from a fault, to show that it lasts


@dataclass(kw_only=True)
class Applied:
    """One action: monotonic seconds from its begin to its end, and what came of it."""

    begin: float
    end: float
    changes: Changes = field(default_factory=list)
    new: Sequence[str] = ()  # replicas
    trouble: str = ""


@dataclass
class Runner(Generic[T]):
    """The target, its traffic, the promises that judge, and the folder for ledgers."""

    target: T
    pace: Pace
    promises: Promises
    folder: Path
    on_progress: Callable[[str], None]
    clock: Clock = SYSTEM_CLOCK

    def run(self, experiments: Sequence[Experiment[T]], times: int = 1) -> list[Section]:
        """A section of the report for each experiment, all of them `times` times over."""
        sections = []
        for turn, (number, experiment) in product(range(1, times + 1), enumerate(experiments, start=1)):
            name, at = experiment.name, f"{number}/{len(experiments)}"
            if experiment.is_change:
                name, at = f"{experiment.name}-{turn}", f"{turn}/{times}"
            self.on_progress(f"[{at}] {experiment.title}")
            section = self._section(experiment, name)
            broken = "; ".join(
                f"{verdict.promise}: {verdict.found}" for verdict in section.verdicts if not verdict.kept
            )
            self.on_progress("    kept" if section.kept else f"    NOT kept: {broken}")
            sections.append(section)
        return sections

    def _section(self, experiment: Experiment[T], name: str) -> Section:
        """Also of an experiment that could not be run, or whose prerequisites could not be removed."""
        section: Section | None = None
        try:
            with experiment.prerequisites(self.target):
                section = self._run(experiment, name)
        except MISHAPS as error:
            self._repair()
            return not_run(experiment, name, [str(error)]) if section is None else left_behind(section, str(error))
        return section

    def _run(self, experiment: Experiment[T], name: str) -> Section:
        if reasons := degraded_reasons(self.target.stack, BEFORE_SECONDS, self.clock):
            return not_run(experiment, name, reasons)
        limits = experiment.limits(self.promises)
        observed, applied = self._observe(experiment, name, limits)
        if observed.trouble or observed.degraded_reasons:
            self._repair()
        verdicts = judge(observed, limits)
        if not experiment.is_change:
            return Section(observed=observed, verdicts=verdicts)
        verdicts = [replaced(experiment, applied.changes, applied.new), *verdicts]
        return Section(observed=observed, verdicts=verdicts, figures=[gaps(observed)])

    def _observe(self, experiment: Experiment[T], name: str, limits: Limits) -> tuple[Observed, Applied]:
        """Apply it under traffic, wait for the recovery, and read every acknowledged point back from every replica."""
        path, stack, clock = self.folder / f"{name}.jsonl", self.target.stack, self.clock
        path.unlink(missing_ok=True)
        with Ledger(path) as ledger:
            with self.target.start_traffic(self.pace, ledger) as traffic:
                baseline_start = wait_for_calls(traffic, 50, READ, clock=clock)
                clock.sleep(self.pace.baseline_seconds)
                applied = self._apply(experiment)
                wait_seconds = 2 * limits.recovery_seconds if limits.recovery_seconds else SETTLE_SECONDS
                degraded = degraded_reasons(stack, wait_seconds, clock)
                recovered = applied.end if experiment.is_change else clock.now()
                clock.sleep(0 if experiment.is_change else AFTERWARDS_SECONDS)
                ended = clock.now()
            entries = ledger.entries
        found = audit_and_remove(stack, entries)
        observed = Observed(
            name=name,
            title=experiment.title,
            calls=traffic.calls,
            baseline_start=baseline_start,
            fault=applied.begin,
            fault_end=applied.end,
            recovered=recovered,
            ended=ended,
            acknowledged=len(entries),
            missing=found.missing,
            altered=found.altered,
            degraded_reasons=degraded,
            trouble=applied.trouble,
            may_fail=experiment.may_fail,
            excused_seconds=experiment.excused_seconds,
            slow=experiment.slow,
        )
        return observed, applied

    def _apply(self, experiment: Experiment[T]) -> Applied:
        """Apply a fault, leave it for its time and undo it; or apply a change, until what it replaces is gone."""
        before = self.target.replicas() if experiment.is_change else []
        begin = self.clock.now()
        applied = Applied(begin=begin, end=begin)
        try:
            result = experiment.action(self.target)
            if isinstance(result, list):
                applied.changes = result
                try:
                    applied.new = newcomers(before, self._await_replaced(experiment, before))
                finally:
                    applied.end = self.clock.now()
            else:
                try:
                    self.clock.sleep(experiment.lasts_seconds)
                finally:  # an interrupted run leaves no frozen node behind
                    applied.end = self.clock.now()
                    result()
        except Exception as error:  # whatever it was, the target must be examined and repaired
            applied.trouble = f"{type(error).__name__}: {error}"
        return applied

    def _await_replaced(self, change: Experiment[T], before: Sequence[Replica]) -> list[Replica]:
        """Return the replicas that run when none is left of those that the change replaces."""
        leaving = {replica.id for replica in before if replica.name in change.replaces}

        def without_leaving() -> list[Replica]:
            running = self.target.replicas()
            require(leaving.isdisjoint(replica.id for replica in running), "some still there")
            return running

        expected = f"the replicas that {change.name} replaces to be gone"
        return poll(without_leaving, REPLACED_SECONDS, expected=expected, clock=self.clock)

    def _repair(self) -> None:
        with suppress(OperatorError, *MISHAPS):
            self.target.repair()


def not_run(experiment: Experiment[T], name: str, reasons: Sequence[str]) -> Section:
    """The section of an experiment that had no settled target: it proves nothing, and so it fails."""
    found = f"not run: {'; '.join(reasons[:3])}"
    verdict = Verdict(promise="run", expected="on a settled cluster", found=found, kept=False)
    return Section(title=experiment.title, name=name, verdicts=[verdict])


def left_behind(section: Section, found: str) -> Section:
    """The section of an experiment that was run, and whose prerequisites could not be removed again."""
    verdict = Verdict(promise="its prerequisites removed again", expected="yes", found=found, kept=False)
    return replace(section, verdicts=[*section.verdicts, verdict])
