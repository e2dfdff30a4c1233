"""Run faults, one after another, each on a stack that is whole again."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from docker.errors import DockerException
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from access.kubernetes.kube import NoCluster
from ops.stack import OperatorError
from proof.experiments.scenarios import Scenario
from proof.report.judge import Observed, Verdict, judge, limits_of_fault
from proof.report.report import Section
from proof.targets.docker_stack import OwnStack
from proof.targets.docker_target import TrafficFactory, audit_and_remove, degraded_reasons_after, start_traffic
from proof.targets.prerequisites import PrerequisiteRefused
from proof.traffic.clients import READ
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from slo.promises import Promises

# After any of these the run goes on with the next fault: what was seen before must be told.
MISHAPS = (PrerequisiteRefused, DockerException, ApiException, HTTPError, NoCluster, TimeoutError, RuntimeError)
AFTERWARDS_SECONDS = 3  # the clients go on a little, to see that it stays well


@dataclass
class Chaos:
    """A stack to break, who watches, and where what was seen is kept."""

    stack: OwnStack
    pace: Pace
    promises: Promises
    folder: Path
    say: Callable[[str], None]
    start_traffic: TrafficFactory = start_traffic

    def run(self, scenarios: Sequence[Scenario]) -> list[Section]:
        """A section of the report for each scenario; one for which the stack does not get well is not run."""
        sections: list[Section] = []
        for number, scenario in enumerate(scenarios, start=1):
            self.say(f"[{number}/{len(scenarios)}] {scenario.title}")
            section: Section | None = None
            try:
                with scenario.prerequisites(self.stack):
                    section = self.one(scenario)
            except MISHAPS as error:
                section = not_run(scenario, [str(error)]) if section is None else left_behind(section, str(error))
                self._bring_back()
            self.say("    kept" if section.kept else f"    NOT kept: {_broken(section.verdicts)}")
            sections.append(section)
        return sections

    def one(self, scenario: Scenario) -> Section:
        """Its section of the report; a stack that is left broken is brought back before the next."""
        if reasons := degraded_reasons_after(self.stack, 60):
            return not_run(scenario, reasons)
        observed = self.observe(scenario)
        if observed.trouble or observed.degraded_reasons:
            self._bring_back()
        limits = limits_of_fault(self.promises, getattr(self.promises.recovery, scenario.recovery))
        return Section(observed=observed, verdicts=judge(observed, limits))

    def observe(self, scenario: Scenario) -> Observed:
        """Break, heal, wait until all is whole, and ask every replica for everything that was acknowledged."""
        trouble, path = "", self.folder / f"{scenario.name}.jsonl"
        path.unlink(missing_ok=True)
        with Ledger(path) as ledger:
            with self.start_traffic(self.stack, self.pace, ledger) as traffic:
                baseline_start = traffic.wait_for(50, READ)
                time.sleep(self.pace.baseline_seconds)  # what is measured, and no wait for anything
                fault = fault_end = time.monotonic()
                try:
                    heal = scenario.fault(self.stack)
                    try:
                        time.sleep(scenario.away_seconds)  # this is the fault
                    finally:  # an operator who has seen enough leaves no frozen node behind
                        fault_end = time.monotonic()
                        heal()
                except Exception as error:  # whatever it was, the stack must be looked at, and brought back
                    trouble = f"{type(error).__name__}: {error}"
                degraded_reasons = degraded_reasons_after(
                    self.stack, 2 * getattr(self.promises.recovery, scenario.recovery)
                )
                whole = time.monotonic()
                time.sleep(AFTERWARDS_SECONDS)
                ended = time.monotonic()
            entries = ledger.entries
        found = audit_and_remove(self.stack, entries)
        return Observed(
            name=scenario.name,
            title=scenario.title,
            calls=traffic.calls,
            baseline_start=baseline_start,
            fault=fault,
            fault_end=fault_end,
            whole=whole,
            ended=ended,
            acknowledged=len(entries),
            missing=found.missing,
            altered=found.altered,
            degraded_reasons=degraded_reasons,
            trouble=trouble,
            may_fail=scenario.may_fail,
            excused_seconds=scenario.excused_seconds,
            slow=scenario.slow,
        )

    def _bring_back(self) -> None:
        with suppress(OperatorError, *MISHAPS):
            self.stack.bring_back()


def not_run(scenario: Scenario, reasons: Sequence[str]) -> Section:
    """The section of a scenario for which there was no whole stack: it proves nothing, and so it fails."""
    verdict = Verdict(
        promise="run", expected="on a whole stack", found=f"not run: {'; '.join(reasons[:3])}", kept=False
    )
    return Section(title=scenario.title, name=scenario.name, verdicts=[verdict])


def left_behind(section: Section, found: str) -> Section:
    """The section of a scenario that was tried, and whose ground could not be taken away again."""
    verdict = Verdict(promise="the ground of it taken away again", expected="yes", found=found, kept=False)
    return replace(section, verdicts=[*section.verdicts, verdict])


def _broken(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{verdict.promise}: {verdict.found}" for verdict in verdicts if not verdict.kept)
