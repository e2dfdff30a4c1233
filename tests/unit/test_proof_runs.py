"""Experiments are declared; a change that replaced nothing, or in another order, has proven nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.parts import Parts
from ops.stack import OperatorError, StackFiles
from proof.experiments.changes import CHANGES, QDRANT
from proof.experiments.experiment import Experiment, Undo, named
from proof.experiments.pod_changes import POD_CHANGES
from proof.experiments.pod_scenarios import POD_SCENARIOS
from proof.experiments.replacement import gaps, newcomers, replaced
from proof.experiments.runner import Runner, left_behind, not_run
from proof.experiments.scenarios import SCENARIOS
from proof.measure import capacity
from proof.report.judge import Verdict
from proof.targets.proof_stack import ProofStack, without_rate_limits
from proof.targets.target import PrerequisiteRefused, Replica
from proof.traffic.endpoints import Pace
from slo.promises import Promises
from tests.unit.fake_time import FakeTime
from tests.unit.observations import FAULT, RECOVERED, observed

ROLLED = [f"qdrant-{n}" for n in range(3)]
FAULTS: tuple[Experiment[Any], ...] = (*SCENARIOS, *POD_SCENARIOS)
EVERY: tuple[Experiment[Any], ...] = (*FAULTS, *CHANGES, *POD_CHANGES)


def change(name: str, among: Sequence[Experiment[Any]] = CHANGES) -> Experiment[Any]:
    [found] = named(among, name)
    return found


@pytest.mark.parametrize("among", [SCENARIOS, CHANGES, POD_SCENARIOS, POD_CHANGES])
def test_an_unknown_name_is_refused_with_those_that_are_known(among: Sequence[Experiment[Any]]) -> None:
    with pytest.raises(ValueError, match=r"expected .* out of .*(kill-leader|qdrant-setting).*; found no-such"):
        named(among, "no-such")
    assert named(among, among[0].name) == (among[0],)


@pytest.mark.parametrize("experiment", EVERY, ids=lambda each: each.name)
def test_a_stream_may_fail_only_for_a_reason(experiment: Experiment[Any]) -> None:
    assert all(experiment.may_fail.values())
    assert "write" not in experiment.may_fail  # a writer tries again until it is acknowledged, whatever happens


def test_each_scenario_has_a_time_to_recover_in() -> None:
    recovery = Promises.read().recovery
    assert all(fault.recovery and getattr(recovery, fault.recovery) > 0 for fault in FAULTS)


def test_one_lost_node_never_excuses_a_failed_read() -> None:
    lost = ("kill-follower", "kill-leader", "freeze-node", "cut", "drain")
    one_node = [fault for fault in FAULTS if fault.name.startswith(lost)]
    assert len(one_node) == 7
    assert all(not fault.may_fail and not fault.slow for fault in one_node)


class FakeTarget:
    """A target that counts its repairs."""

    stack: Any = None
    repaired = 0

    def repair(self) -> None:
        self.repaired += 1


def runner(target: Any, folder: Path, **changed: Any) -> Runner[Any]:
    return Runner(target, Pace(), Promises.read(), folder, lambda _: None, **changed)


def test_a_fault_whose_prerequisites_are_refused_was_not_run_and_so_not_kept(tmp_path: Path) -> None:
    @contextmanager
    def refused(_: Any) -> Iterator[None]:
        raise PrerequisiteRefused("no loop device here")
        yield

    target = FakeTarget()
    fill_disk = replace(change("fill-disk", SCENARIOS), prerequisites=refused)
    [section] = runner(target, tmp_path).run([fill_disk])
    assert not section.kept
    assert "no loop device here" in section.verdicts[0].found
    assert target.repaired == 1


def test_prerequisites_that_stay_break_what_was_kept() -> None:
    not_tried = not_run(change("fill-disk", SCENARIOS), "fill-disk", [])
    tried = replace(not_tried, verdicts=[Verdict(promise="all", expected="", found="", kept=True)])
    assert tried.kept
    assert not left_behind(tried, "a mount that is busy").kept


def test_a_fault_lasts_its_time_and_is_undone_whatever_happens(tmp_path: Path) -> None:
    time, undone = FakeTime(), list[float]()
    fault: Experiment[Any] = Experiment(
        "f", "F", lambda _: lambda: undone.append(time.seconds), recovery="node_returns", lasts_seconds=7
    )
    applied = runner(FakeTarget(), tmp_path, clock=time.clock)._apply(fault)
    assert (applied.begin, applied.end, applied.trouble, undone) == (0, 7, "", [7])


def test_an_action_that_fails_is_trouble_and_not_the_end_of_the_run(tmp_path: Path) -> None:
    def action(_: Any) -> Undo:
        raise OperatorError("no transfer")

    failing: Experiment[Any] = Experiment("f", "F", action, recovery="node_returns")
    assert runner(FakeTarget(), tmp_path)._apply(failing).trouble == "OperatorError: no transfer"


def test_components_may_roll_side_by_side_but_their_replicas_only_one_after_another() -> None:
    mixed = ["rag-ingest-0", "rag-service-0", "rag-llamaindex-query-0", "rag-service-1", "rag-llamaindex-query-1"]
    assert replaced(change("rag-image"), [], mixed).kept
    wrong = ["rag-service-1", "rag-service-0", *(name for name in mixed if "service" not in name)]
    assert not replaced(change("rag-image"), [], wrong).kept


def test_of_replicas_without_names_each_must_have_been_replaced() -> None:
    rolled = change("rag-setting", POD_CHANGES)
    mixed = ["rag-ingest", "rag-service", "rag-llamaindex-query", "rag-service", "rag-llamaindex-query"]
    assert replaced(rolled, [], mixed).kept
    assert not replaced(rolled, [], mixed[:-1]).kept


def test_where_each_has_a_second_replica_nothing_is_excused() -> None:
    assert all(not each.may_fail and not each.slow for each in POD_CHANGES)
    alone = {name for each in POD_CHANGES for name, many in Counter(each.replaces).items() if many < 2}
    assert alone == {*QDRANT, "rag-ingest"}, "nodes have peers, and no client calls rag-ingest"


def test_a_newcomer_is_one_that_was_not_there_whatever_its_name() -> None:
    def replica(name: str, identity: str, created: str) -> Replica:
        return Replica(name=name, id=identity, created=f"2026-01-01T00:00:{created}+00:00")

    before = [replica("kong", "a", "01"), replica("kong", "b", "02"), replica("haproxy", "c", "03")]
    after = [replica("kong", "e", "20"), replica("kong", "d", "10"), replica("haproxy", "c", "03")]
    assert newcomers(before, after) == ["kong", "kong"]
    nodes = [replica(f"qdrant-{n}", f"new-{n}", str(30 - n)) for n in range(3)]
    assert newcomers(before, nodes) == ["qdrant-2", "qdrant-1", "qdrant-0"]
    assert newcomers(before, before) == []


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        (ROLLED, True),
        ([], False),
        (ROLLED[:2], False),
        (list(reversed(ROLLED)), False),
    ],
)
def test_a_change_that_did_not_roll_all_of_it_in_order_has_not_been_kept(new: list[str], kept: bool) -> None:
    assert replaced(change("qdrant-setting"), [("update", "qdrant")], new).kept is kept


def test_a_change_that_replaces_nothing_must_change_something_else() -> None:
    rolled = change("gateway-setting")
    assert replaced(rolled, [("update", "search-limit")], []).kept
    assert not replaced(rolled, [], []).kept
    assert not replaced(rolled, [("update", "search-limit")], ["kong-0"]).kept


class SetOnly(ProofStack):
    """A stack whose `up` changes nothing but the described settings."""

    def up_in_subprocess(self, **changed: Any) -> list[tuple[str, str]]:
        self.files = self.files.with_config(**changed)
        return []


SETTINGS: list[tuple[str, Experiment[Any]]] = [("dev", each) for each in CHANGES if each.name.endswith("-setting")]
SETTINGS += [("prod", each) for each in POD_CHANGES]


@pytest.mark.parametrize(("source", "experiment"), SETTINGS, ids=lambda it: getattr(it, "name", it))
def test_a_setting_that_is_changed_again_is_set_otherwise_than_before(source: str, experiment: Experiment[Any]) -> None:
    stack = SetOnly(files=StackFiles(name="proof", source=source, parts=Parts()))
    if source == "prod":
        stack.files = stack.files.with_config(**without_rate_limits(stack.settings))
    rolled = []
    for _ in range(4):
        before = stack.settings
        experiment.action(SimpleNamespace(stack=stack))
        rolled.append(stack.settings)
        assert rolled[-1] != before
    assert rolled[0] == rolled[2]


def test_what_stops_a_change_in_a_process_of_its_own_is_reported_in_the_same_words() -> None:
    stack = ProofStack(files=StackFiles(name="none", source="none", parts=Parts()))
    with pytest.raises(OperatorError, match=r"expected a stack file Pulumi\.none\.yaml, found none"):
        stack.up_in_subprocess()


def test_the_longest_time_without_a_success_is_measured() -> None:
    silent = [call for call in observed().calls if not (call.stream == "read" and FAULT <= call.due < RECOVERED)]
    rows = {row.name: row.cells[0] for row in gaps(observed(calls=silent)).rows}
    assert rows["reads"] == f"{RECOVERED - FAULT + 0.05:.2f} s"
    assert float(rows["writes"].split()[0]) < 0.5


def test_memory_is_given_for_a_hundred_thousand_points() -> None:
    measured = capacity.Measured(
        nodes=3, copies=2, queries_per_second=100, failed=0, empty_mib=300, full_mib=340, points=20_000
    )
    assert measured.mib_per_100_000 == pytest.approx(200)
    assert capacity.figures([measured]).rows[0].cells == ["100", "1.00", "0", "300 MiB", "200 MiB"]
