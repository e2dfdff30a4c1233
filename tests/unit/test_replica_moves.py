"""Plans carried out on a cluster that times out, changes its leader, refuses, and lets transfers hang."""

from collections.abc import Iterator

import pytest

from qdrant_admin.nodes import Nodes
from qdrant_admin.placement import moves as replica_moves
from qdrant_admin.placement.moves import MovesStopped, Timeouts, move_replicas, plan_for
from qdrant_admin.placement.observation import observe_placement
from qdrant_admin.placement.plan import PlacementSpec
from tests.unit.fake_qdrant import ENDLESS, FAILED, KEY, NAME, PEERS, FakeCluster, running_cluster

HURRIED = Timeouts(timeout_seconds=120, stalled_seconds=0.3)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.setattr(replica_moves, "PAUSE_SECONDS", 0.01)
    with running_cluster() as cluster:
        yield cluster


def move(cluster: FakeCluster, factor: int = 2, leaving: frozenset[int] = frozenset()) -> int:
    nodes = Nodes.at(cluster.urls, KEY)
    return move_replicas(nodes, NAME, PlacementSpec(factor=factor, leaving=leaving), HURRIED)


def placed(cluster: FakeCluster) -> dict[int, dict[int, str]]:
    return cluster.collections[NAME].replicas


def copies(cluster: FakeCluster) -> list[int]:
    assert {state for on in placed(cluster).values() for state in on.values()} == {"Active"}
    return [len(on) for on in placed(cluster).values()]


def asked(cluster: FakeCluster) -> list[str]:
    return [next(iter(body)) for _, _, body in cluster.changes]


def test_what_stands_as_wanted_is_not_touched(cluster: FakeCluster) -> None:
    cluster.add()
    assert move(cluster) == 0
    assert cluster.changes == []


@pytest.mark.parametrize(("there", "wanted"), [(1, 2), (1, 3), (2, 3), (3, 2), (3, 1)])
def test_copies_are_made_and_dropped_until_there_are_as_many_as_wanted(
    cluster: FakeCluster, there: int, wanted: int
) -> None:
    cluster.add(physical=there)
    assert move(cluster, wanted) == 2 * abs(there - wanted)
    assert copies(cluster) == [wanted, wanted]


def test_a_peer_is_emptied_without_a_shard_ever_standing_on_fewer_peers(cluster: FakeCluster) -> None:
    cluster.add()
    move(cluster, leaving=frozenset({PEERS[1]}))
    assert copies(cluster) == [2, 2]
    assert all(PEERS[1] not in on for on in placed(cluster).values())
    assert asked(cluster) == ["replicate_shard"] * 2 + ["drop_replica"] * 2


def test_each_step_is_told(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    told: list[str] = []
    move_replicas(Nodes.at(cluster.urls, KEY), NAME, PlacementSpec(factor=2), HURRIED, told.append)
    assert len(told) == 2
    assert told[0].startswith(f"{NAME}: copy shard 0 from peer")


def test_a_new_leader_in_the_middle_is_waited_for(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.moves_refused = [500] * 3  # every node in its turn
    move(cluster)
    assert copies(cluster) == [2, 2]


def test_a_move_whose_answer_was_lost_is_not_made_twice(cluster: FakeCluster) -> None:
    cluster.add(physical=3)
    cluster.moves_unheard = 1
    move(cluster)  # the next node is asked, and says that there is no such copy: the look after it is what counts
    assert copies(cluster) == [2, 2]


def test_a_refusal_that_stays_is_told_in_qdrants_words(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.moves_refused = [500] * 99
    with pytest.raises(MovesStopped, match=r"copy shard 0 .*leader is not established.* 3 times; .* goes on from here"):
        move(cluster)


def test_a_transfer_that_never_ends_is_aborted_and_said(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.transfer = ENDLESS
    with pytest.raises(MovesStopped, match=r"nothing has moved.*shard 0 is being copied .*aborted"):
        move(cluster)
    assert asked(cluster) == ["replicate_shard", "abort_transfer"]
    assert cluster.collections[NAME].transfers == []


def test_an_aborted_transfer_is_made_good_by_the_next_run(cluster: FakeCluster) -> None:
    test_a_transfer_that_never_ends_is_aborted_and_said(cluster)
    cluster.transfer = "whole"
    move(cluster)
    assert copies(cluster) == [2, 2]


def test_a_transfer_that_fails_every_time_is_said(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.transfer = FAILED
    with pytest.raises(MovesStopped, match=r"copy shard 0 .* its copy did not become Active, 3 times"):
        move(cluster)


def test_a_copy_that_recovers_is_waited_for_and_one_that_does_not_is_made_anew(cluster: FakeCluster) -> None:
    cluster.add()
    placed(cluster)[0][PEERS[1]] = "Dead"
    cluster.looks_until_active = 9
    assert move(cluster) == 0
    placed(cluster)[0][PEERS[1]] = "Dead"
    assert move(cluster) == 2
    assert copies(cluster) == [2, 2]


def test_a_silent_node_is_named_and_its_copies_are_let_be(cluster: FakeCluster) -> None:
    cluster.add()
    before = {shard: dict(on) for shard, on in placed(cluster).items()}
    cluster.down = {2}
    with pytest.raises(MovesStopped, match=cluster.urls[2]):
        move(cluster)
    assert placed(cluster) == before


def test_the_last_copy_that_serves_is_never_dropped_whatever_one_node_believes(cluster: FakeCluster) -> None:
    cluster.add(physical=2)
    cluster.believed[2] = {0: {PEERS[0]: "Active", PEERS[1]: "Dead"}}
    with pytest.raises(MovesStopped, match="do not agree"):
        move(cluster, 1)
    assert asked(cluster) == []


def test_more_copies_than_peers_cannot_be_and_that_is_said(cluster: FakeCluster) -> None:
    cluster.add(physical=3)
    with pytest.raises(MovesStopped, match="4 copies need as many peers, and only 3"):
        move(cluster, 4)


def test_an_interrupted_run_goes_on_where_it_was(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    nodes, told = Nodes.at(cluster.urls, KEY), []

    def interrupt(step: str) -> None:
        told.append(step)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_replicas(nodes, NAME, PlacementSpec(factor=2), HURRIED, interrupt)
    assert move(cluster) == 1
    assert copies(cluster) == [2, 2]


def test_a_dry_run_shows_the_steps_and_takes_none(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    plan = plan_for(observe_placement(Nodes.at(cluster.urls, KEY), NAME), PlacementSpec(factor=3))
    assert len(plan.steps) == 4
    assert cluster.changes == []
