"""Run faults, one after another, each on a stack that is whole again."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from docker.errors import DockerException
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from ops.stack import OperatorError
from proof.clients import READ
from proof.doors import Pace
from proof.ground import GroundRefused
from proof.judge import Observed, Verdict, judge, limits_of_fault
from proof.ledger import Ledger
from proof.own_stack import OwnStack
from proof.promises import Promises
from proof.report import Section
from proof.scenarios import Scenario
from proof.setting import Crowd, audit_and_remove, crowd, unwhole_after
from providers.kube import NoCluster

# After any of these the run goes on with the next fault: what was seen before must be told.
MISHAPS = (GroundRefused, DockerException, ApiException, HTTPError, NoCluster, TimeoutError, RuntimeError)
AFTERWARDS_SECONDS = 3  # the clients go on a little, to see that it stays well


@dataclass
class Chaos:
    """A stack to break, who watches, and where what was seen is kept."""

    stack: OwnStack
    pace: Pace
    promises: Promises
    folder: Path
    say: Callable[[str], None]
    crowd: Crowd = crowd

    def run(self, scenarios: Sequence[Scenario]) -> list[Section]:
        """A section of the report for each scenario; one for which the stack does not get well is not run."""
        sections: list[Section] = []
        for number, scenario in enumerate(scenarios, start=1):
            self.say(f"[{number}/{len(scenarios)}] {scenario.title}")
            section: Section | None = None
            try:
                with scenario.ground(self.stack):
                    section = self.one(scenario)
            except MISHAPS as error:
                section = not_run(scenario, [str(error)]) if section is None else left_behind(section, str(error))
                self._bring_back()
            self.say("    kept" if section.kept else f"    NOT kept: {_broken(section.verdicts)}")
            sections.append(section)
        return sections

    def one(self, scenario: Scenario) -> Section:
        """Its section of the report; a stack that is left broken is brought back before the next."""
        if reasons := unwhole_after(self.stack, 60):
            return not_run(scenario, reasons)
        observed = self.observe(scenario)
        if observed.trouble or observed.unwhole:
            self._bring_back()
        limits = limits_of_fault(self.promises, getattr(self.promises.recovery, scenario.recovery))
        return Section(observed=observed, verdicts=judge(observed, limits))

    def observe(self, scenario: Scenario) -> Observed:
        """Break, heal, wait until all is whole, and ask every replica for everything that was acknowledged."""
        trouble, path = "", self.folder / f"{scenario.name}.jsonl"
        path.unlink(missing_ok=True)
        with Ledger(path) as ledger:
            with self.crowd(self.stack, self.pace, ledger) as traffic:
                calm = traffic.wait_for(50, READ)
                time.sleep(self.pace.calm_seconds)  # what is measured, and no wait for anything
                fault = healed = time.monotonic()
                try:
                    heal = scenario.fault(self.stack)
                    try:
                        time.sleep(scenario.away_seconds)  # this is the fault
                    finally:  # an operator who has seen enough leaves no frozen node behind
                        healed = time.monotonic()
                        heal()
                except Exception as error:  # whatever it was, the stack must be looked at, and brought back
                    trouble = f"{type(error).__name__}: {error}"
                unwhole = unwhole_after(self.stack, 2 * getattr(self.promises.recovery, scenario.recovery))
                whole = time.monotonic()
                time.sleep(AFTERWARDS_SECONDS)
                ended = time.monotonic()
            entries = ledger.entries
        found = audit_and_remove(self.stack, entries)
        return Observed(
            name=scenario.name,
            title=scenario.title,
            calls=traffic.calls,
            calm=calm,
            fault=fault,
            healed=healed,
            whole=whole,
            ended=ended,
            acknowledged=len(entries),
            missing=found.missing,
            altered=found.altered,
            unwhole=unwhole,
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
