"""What is tried is declared, and a change that replaced nothing, or in another order, has proven nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.parts import Parts
from ops.stack import OperatorError, StackFiles
from proof.experiments import changes, scenarios
from proof.experiments.chaos import Chaos, left_behind, not_run
from proof.experiments.pod_changes import POD_CHANGES
from proof.experiments.pod_scenarios import POD_SCENARIOS
from proof.experiments.rolling import gaps, newcomers, replaced
from proof.measure import capacity
from proof.report.judge import Verdict
from proof.targets.docker_stack import OwnStack, Replica, limiting_nobody
from proof.targets.prerequisites import PrerequisiteRefused
from proof.traffic.endpoints import Pace
from slo.promises import Promises
from tests.unit.observations import FAULT, WHOLE, observed

ROLLED = [f"qdrant-{n}" for n in range(3)]
FAULTS_OF_PODS = partial(scenarios.named, among=POD_SCENARIOS)
CHANGES_OF_PODS = partial(changes.named, among=POD_CHANGES)


@pytest.mark.parametrize("named", [scenarios.named, changes.named, FAULTS_OF_PODS, CHANGES_OF_PODS])
def test_what_is_not_known_is_refused_and_what_is_known_is_listed(named: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"expected .* out of .*(kill-leader|qdrant-setting).*; found no-such"):
        named("no-such")
    first = named()[0]
    assert named(first.name) == (first,)


@pytest.mark.parametrize(
    "run", [*scenarios.SCENARIOS, *POD_SCENARIOS, *changes.CHANGES, *POD_CHANGES], ids=lambda run: run.name
)
def test_what_may_fail_may_only_with_a_reason(run: scenarios.Scenario | changes.Change) -> None:
    assert all(run.may_fail.values())
    assert "write" not in run.may_fail  # a writer tries again until it is acknowledged, whatever happens


def test_each_scenario_has_a_time_to_recover_in() -> None:
    recovery = Promises.read().recovery
    assert all(getattr(recovery, scenario.recovery) > 0 for scenario in (*scenarios.SCENARIOS, *POD_SCENARIOS))


def test_one_lost_node_never_excuses_a_failed_read() -> None:
    lost = ("kill-follower", "kill-leader", "freeze", "cut", "drain")
    one_node = [s for s in (*scenarios.SCENARIOS, *POD_SCENARIOS) if s.name.startswith(lost)]
    assert len(one_node) == 7
    assert all(not scenario.may_fail and not scenario.slow for scenario in one_node)


def test_a_fault_whose_ground_cannot_be_laid_was_not_tried_and_so_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def refused(_: OwnStack) -> Iterator[None]:
        raise PrerequisiteRefused("no loop device here")
        yield

    stack: Any = None  # nothing is asked of it
    [fill_disk] = scenarios.named("fill-disk")
    chaos = Chaos(stack, Pace(), Promises.read(), tmp_path, lambda _: None)
    monkeypatch.setattr(chaos, "_bring_back", lambda: None)
    [section] = chaos.run([replace(fill_disk, prerequisites=refused)])
    assert not section.kept
    assert "no loop device here" in section.verdicts[0].found


def test_a_ground_that_stays_breaks_what_was_kept() -> None:
    [fill_disk] = scenarios.named("fill-disk")
    tried = replace(not_run(fill_disk, []), verdicts=[Verdict(promise="all", expected="", found="", kept=True)])
    assert tried.kept
    assert not left_behind(tried, "a mount that is busy").kept


def test_components_may_roll_side_by_side_but_their_replicas_only_one_after_another() -> None:
    [change] = changes.named("rag-image")
    mixed = ["rag-ingest-0", "rag-service-0", "rag-llamaindex-query-0", "rag-service-1", "rag-llamaindex-query-1"]
    assert replaced(change, [], mixed).kept
    wrong = ["rag-service-1", "rag-service-0", *(name for name in mixed if "service" not in name)]
    assert not replaced(change, [], wrong).kept


def test_of_replicas_without_names_each_must_have_been_replaced() -> None:
    [change] = CHANGES_OF_PODS("rag-setting")
    mixed = ["rag-ingest", "rag-service", "rag-llamaindex-query", "rag-service", "rag-llamaindex-query"]
    assert replaced(change, [], mixed).kept
    assert not replaced(change, [], mixed[:-1]).kept


def test_where_each_has_a_second_replica_nothing_is_excused() -> None:
    assert all(not change.may_fail and not change.slow for change in POD_CHANGES)
    alone = {name for change in POD_CHANGES for name, many in Counter(change.replaces).items() if many < 2}
    assert alone == {*changes.QDRANT, "rag-ingest"}, "nodes have fellows, and nobody asks rag-ingest"


def test_a_newcomer_is_one_that_was_not_there_whatever_its_name() -> None:
    def replica(name: str, identity: str, born: str) -> Replica:
        return Replica(name=name, id=identity, born=f"2026-01-01T00:00:{born}+00:00")

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
    [change] = changes.named("qdrant-setting")
    assert replaced(change, [("update", "qdrant")], new).kept is kept


def test_a_change_that_replaces_nothing_must_change_something_else() -> None:
    [change] = changes.named("gateway-setting")
    assert replaced(change, [("update", "search-limit")], []).kept
    assert not replaced(change, [], []).kept
    assert not replaced(change, [("update", "search-limit")], ["kong-0"]).kept


SETTINGS = [("dev", change) for change in changes.CHANGES if change.name.endswith("-setting")]
SETTINGS += [("prod", change) for change in POD_CHANGES]


@pytest.mark.parametrize(("source", "change"), SETTINGS, ids=lambda it: getattr(it, "name", it))
def test_a_setting_that_is_changed_again_is_set_otherwise_than_before(source: str, change: changes.Change) -> None:
    stack = OwnStack(
        files=StackFiles(name="proof", source=source, parts=Parts()), console=Console(quiet=True), prefix="proof"
    )
    if source == "prod":
        stack.files = stack.files.with_config(**limiting_nobody(stack.files.settings()))
    rolled = []
    for _ in range(4):
        before = stack.files.settings()
        stack.files = stack.files.with_config(**change.keys(stack))
        rolled.append(stack.files.settings())
        assert rolled[-1] != before
    assert rolled[0] == rolled[2]


def test_what_stops_a_change_in_a_process_of_its_own_is_told_in_the_same_words() -> None:
    stack = OwnStack(
        files=StackFiles(name="none", source="none", parts=Parts()), console=Console(quiet=True), prefix="none"
    )
    with pytest.raises(OperatorError, match=r"expected a stack file Pulumi\.none\.yaml, found none"):
        stack.up_aside()


def test_the_time_without_a_success_is_told() -> None:
    silent = [call for call in observed().calls if not (call.stream == "read" and FAULT <= call.due < WHOLE)]
    rows = {row.name: row.cells[0] for row in gaps(observed(calls=silent)).rows}
    assert rows["reads"] == f"{WHOLE - FAULT + 0.05:.2f} s"
    assert float(rows["writes"].split()[0]) < 0.5


def test_memory_is_told_for_a_hundred_thousand_points() -> None:
    measured = capacity.Measured(
        nodes=3, copies=2, queries_per_second=100, failed=0, empty_mib=300, full_mib=340, points=20_000
    )
    assert measured.mib_per_100_000 == pytest.approx(200)
    assert capacity.figures([measured]).rows[0].cells == ["100", "1.00", "0", "300 MiB", "200 MiB"]
