"""Which node leaves the cluster, and when: never with the last copy of a shard, never one that is only stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from ops import lifecycle
from ops.daytwo import membership
from ops.daytwo.docker_disk import DockerDisk
from ops.daytwo.kubernetes_disk import KubernetesDisk
from ops.daytwo.membership import Membership, peers_at
from ops.daytwo.node_disk import NodeDisk
from ops.daytwo.replace_node import Replacement
from ops.daytwo.scale import Scaling
from ops.daytwo.steps import Step, show, take
from ops.recorded_nodes import recorded_nodes
from ops.stack import OperatorError
from qdrant_admin.api import QdrantError
from tests.unit.fake_contents import PEERS, FakeContents, contents
from tests.unit.fake_time import FakeTime

NAME = "docs"
QUIET = Console(quiet=True)


@pytest.fixture
def fake() -> Iterator[FakeContents]:
    with contents() as fake:
        fake.add(NAME, 20, shards=3)
        yield fake


@dataclass(frozen=True, kw_only=True)
class Disk(DockerDisk):
    """A node's disk with the diagnosis that a test gives it."""

    wrong: str = ""

    def diagnose(self) -> str:
        return self.wrong


ELSEWHERE: dict[Any, dict[str, Any]] = {
    Disk: {"engine": None, "prefix": "rag"},
    KubernetesDisk: {"core": None, "namespace": "rag"},
}


def replacement(fake: FakeContents, node: int = 1, wrong: str = "volume is gone") -> Replacement:
    disk = Disk(engine=None, prefix="rag", ordinal=node, wrong=wrong)
    return Replacement(files=None, running=fake.running, balancers=[], disk=disk, console=QUIET)  # type: ignore[arg-type]


def scaling(fake: FakeContents, nodes: int, disk: Callable[..., NodeDisk] = Disk) -> Scaling:
    return Scaling(
        files=None,  # type: ignore[arg-type]
        running=fake.running,
        balancers=[],
        disks=lambda ordinal: disk(ordinal=ordinal, **ELSEWHERE[disk]),
        nodes=nodes,
        console=QUIET,
    )


def members(fake: FakeContents, *staying: int, time: FakeTime | None = None) -> Membership:
    return Membership(running=fake.running, staying=staying, clock=(time or FakeTime()).clock)


def descriptions(planned: list[Step]) -> list[str]:
    return [step.description for step in planned]


def test_members_are_known_by_their_registered_address(fake: FakeContents) -> None:
    assert peers_at(fake.running.views(), {1, 2}) == {PEERS[1]: 1, PEERS[2]: 2}


def test_a_dead_peer_is_removed_when_the_others_have_a_leader(fake: FakeContents) -> None:
    fake.deaf, fake.leaderless_looks, fake.removals_refused = {1}, 8, [500, 500]
    members(fake, 0, 2).remove_peers({1}, force=True)
    assert fake.removals == [(PEERS[1], True)]


def test_a_peer_that_cannot_be_removed_is_reported_in_qdrants_words(
    fake: FakeContents,
) -> None:
    fake.deaf, fake.removals_refused = {1}, [500] * 10_000
    with pytest.raises(TimeoutError, match=r"expected qdrant-1 to be removed .*leader is not established"):
        members(fake, 0, 2, time=FakeTime(speed=30)).remove_peers({1}, force=True)


def test_no_peer_is_removed_while_the_others_have_no_leader(
    fake: FakeContents,
) -> None:
    fake.deaf, fake.leaderless_looks = {1}, 10_000
    with pytest.raises(TimeoutError, match="expected a leader of the nodes that stay"):
        members(fake, 0, 2, time=FakeTime(speed=30)).remove_peers({1}, force=True)
    assert fake.removals == []


def test_a_living_leader_may_be_removed(fake: FakeContents) -> None:
    fake.collections.clear()
    members(fake, 1, 2).remove_peers({0}, force=False)  # node 0 leads
    assert fake.removals == [(PEERS[0], False)]


def test_a_dead_leader_that_the_others_still_follow_is_waited_for(
    fake: FakeContents,
) -> None:
    with pytest.raises(TimeoutError, match="expected a leader of the nodes that stay"):
        members(fake, 1, 2, time=FakeTime(speed=30)).await_leader()


class Pauses(FakeTime):
    """A clock that records its pauses; something may happen in each."""

    def __init__(self, happen: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.slept, self._happen = list[float](), happen

    def _sleep(self, seconds: float) -> None:
        super()._sleep(seconds)
        self.slept.append(seconds)
        self._happen(len(self.slept))


@pytest.mark.parametrize("state", ["Active", "Partial"])
def test_copies_in_use_are_waited_for_until_they_are_dead(fake: FakeContents, state: str) -> None:
    held = fake.collections[NAME]

    def all_of_it(state: str) -> None:
        held.states = [{node: state if node == 1 else other for node, other in on.items()} for on in held.states]

    all_of_it(state)
    time = Pauses(lambda pauses: all_of_it("Dead") if pauses == 3 else None)
    fake.deaf = {1}
    members(fake, 0, 2, time=time).await_unused({1})
    assert time.slept == [0.5, 0.5, 0.5, membership.LAST_CALL_SECONDS]


def test_a_node_that_does_not_answer_may_use_them(fake: FakeContents) -> None:
    def answer_again(_: int) -> None:
        fake.deaf = {1}
        for on in fake.collections[NAME].states:
            on.update({node: "Dead" for node in on if node == 1})

    fake.deaf, time = {0, 1, 2}, Pauses(answer_again)
    members(fake, 0, 2, time=time).await_unused({1})
    assert time.slept == [0.5, membership.LAST_CALL_SECONDS]


def test_copies_that_no_client_calls_are_not_waited_for_for_ever(fake: FakeContents) -> None:
    fake.deaf, time = {1}, FakeTime()
    members(fake, 0, 2, time=time).await_unused({1})
    assert time.seconds == membership.UNUSED_SECONDS + 0.5 + membership.LAST_CALL_SECONDS


def test_a_peer_that_is_removed_already_is_not_waited_for(fake: FakeContents) -> None:
    fake.deaf, time = {1}, FakeTime()
    members(fake, 0, 2).remove_peers({1}, force=True)
    members(fake, 0, 2, time=time).await_unused({1})
    assert time.seconds == 0


def test_without_force_a_peer_that_holds_shards_stays(fake: FakeContents) -> None:
    with pytest.raises(QdrantError, match="there are shards on it"):
        members(fake, 0, 1).remove_peers({2}, force=False)
    assert fake.removals == []


def test_a_lost_node_is_emptied_before_it_is_removed_and_has_traffic_only_with_its_copies(
    fake: FakeContents,
) -> None:
    """Emptied afterwards, it might be a member again by then: Kubernetes restarts it all the time."""
    fake.deaf = {1}
    planned = descriptions(replacement(fake).steps())
    order = [
        "out of traffic",
        "end rag-qdrant-1 and give it an empty disk",
        "a leader",
        "no node uses",
        "remove",
        "start",
        "voter",
        "copies of docs",
    ]
    order += ["see every copy", "traffic again"]
    assert [next(step for step in planned if each in step) for each in order] == planned


def test_a_living_node_is_not_replaced_unless_forced(fake: FakeContents) -> None:
    with pytest.raises(OperatorError, match="lives and that no copy is missing"):
        replacement(fake).steps()
    assert len(replacement(fake).steps(force_living=True)) == 10


def test_a_node_that_was_only_stopped_is_not_replaced(fake: FakeContents) -> None:
    fake.deaf = {1}
    with pytest.raises(OperatorError, match="make up REFRESH=1 starts it"):
        replacement(fake, wrong="").steps()


def test_the_next_run_resumes_one_that_was_interrupted_after_the_join(fake: FakeContents) -> None:
    del fake.collections[NAME].copies[0][1], fake.collections[NAME].states[0][1]
    planned = descriptions(replacement(fake).steps())
    assert planned[0] == "make the missing copies of docs"
    assert not [step for step in planned if "empty" in step]


def test_the_next_run_resumes_one_that_was_interrupted_after_the_removal(fake: FakeContents) -> None:
    fake.deaf = {1}
    members(fake, 0, 2).remove_peers({1}, force=True)
    assert len(replacement(fake, wrong="").steps()) == 10


def test_the_last_copy_of_a_shard_is_never_removed(fake: FakeContents) -> None:
    fake.collections[NAME].states[0] = {0: "Dead", 1: "Active"}
    fake.deaf = {1}
    with pytest.raises(OperatorError, match="found none of docs, shard 0: with this node they would be gone"):
        replacement(fake).steps(force_living=True)


def test_a_plan_for_more_nodes_moves_copies_to_the_new_ones_and_changes_nothing(fake: FakeContents) -> None:
    planned = scaling(fake, 5)
    moves = list(planned.table().columns[4].cells)
    assert any("to qdrant-3" in str(move) for move in moves)
    assert any("to qdrant-4" in str(move) for move in moves)
    assert descriptions(planned.steps())[0].startswith("make up with 5 nodes")
    assert fake.asked == []


def test_leaving_nodes_are_emptied_before_they_are_removed_and_removed_before_they_end(fake: FakeContents) -> None:
    for held in fake.collections.values():
        held.config["params"]["replication_factor"] = 1
    planned = descriptions(scaling(fake, 1).steps())
    order = [
        "move all copies away",
        "out of traffic",
        "remove",
        "end qdrant-1, qdrant-2",
        "make up with 1",
        "see every",
    ]
    assert [next(step for step in planned if each in step) for each in order] == planned


def test_nodes_that_are_restarted_at_once_are_ended_by_up(fake: FakeContents) -> None:
    for held in fake.collections.values():
        held.config["params"]["replication_factor"] = 1
    planned = descriptions(scaling(fake, 1, KubernetesDisk).steps())
    assert [step for step in planned if "remove qdrant-1, qdrant-2" in step]
    assert not [step for step in planned if step.startswith("end ")]


def test_fewer_nodes_than_copies_are_refused(fake: FakeContents) -> None:
    with pytest.raises(OperatorError, match=r"expected 1 nodes to be enough for docs.*2 copies need as many peers"):
        scaling(fake, 1).table()
    assert fake.asked == []


def test_the_next_run_asks_nothing_of_nodes_that_are_removed_already(fake: FakeContents) -> None:
    fake.collections.clear()
    members(fake, 0, 1).remove_peers({2}, force=False)
    fake.deaf = {2}
    assert descriptions(scaling(fake, 2).steps())[0].startswith("end qdrant-2")


def resource(name: str, kind: str = "docker:index/volume:Volume") -> dict[str, Any]:
    return {"urn": f"urn:pulumi:dev::rag-platform::{kind}::{name}", "type": kind}


@pytest.mark.parametrize(
    ("recorded", "nodes"),
    [
        (["qdrant-0", "qdrant-2", "qdrant-settled-4", "qdrant-founding", "kong-0"], {0, 2}),
        (["qdrant", "data-qdrant-3", "qdrant-rolled-4", "data-postgres-5"], {3}),
    ],
)
def test_nodes_are_found_in_the_state_by_themselves_and_by_their_disks(recorded: list[str], nodes: set[int]) -> None:
    assert recorded_nodes([resource(name) for name in recorded]) == nodes


def test_fewer_nodes_by_a_plain_up_are_refused_with_the_way_to_do_it() -> None:
    with pytest.raises(OperatorError, match=r"at least the 5 that hold data, found 3; .* make scale does that"):
        lifecycle.refuse_to_lose_shards({3, 4}, emptied=(), nodes=3)
    lifecycle.refuse_to_lose_shards({3, 4}, emptied=(3, 4), nodes=3)
    with pytest.raises(OperatorError, match="make scale"):
        lifecycle.refuse_to_lose_shards({3, 4}, emptied=(4,), nodes=3)


def test_steps_are_taken_in_order_and_the_first_error_ends_them() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OperatorError("no")

    planned = [Step("one", lambda: done.append(1)), Step("two", fail), Step("three", lambda: done.append(3))]
    show(planned, QUIET)
    assert done == []
    with pytest.raises(OperatorError, match="no"):
        take(planned, QUIET)
    assert done == [1]
