"""Plans carried out on a cluster that times out, changes its leader, refuses, and lets transfers hang."""

from collections.abc import Iterator

import pytest

from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.moves import MovesStopped, move_replicas, plan_for
from qdrant_admin.placement.observation import observe_placement
from qdrant_admin.placement.plan import PlacementSpec
from tests.unit.fake_qdrant import ENDLESS, FAILED, KEY, NAME, PEERS, FakeCluster, running_cluster
from tests.unit.fake_time import FakeTime


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running_cluster() as cluster:
        yield cluster


def move(cluster: FakeCluster, factor: int = 2, leaving: frozenset[int] = frozenset(), speed: float = 1) -> int:
    return move_replicas(nodes(cluster, speed), NAME, PlacementSpec(factor=factor, leaving=leaving))


def nodes(cluster: FakeCluster, speed: float = 1) -> Nodes:
    return Nodes.at(cluster.urls, KEY, FakeTime(speed).clock)


def placed(cluster: FakeCluster) -> dict[int, dict[int, str]]:
    return cluster.collections[NAME].replicas


def copies(cluster: FakeCluster) -> list[int]:
    assert {state for on in placed(cluster).values() for state in on.values()} == {"Active"}
    return [len(on) for on in placed(cluster).values()]


def asked(cluster: FakeCluster) -> list[str]:
    return [next(iter(body)) for _, _, body in cluster.changes]


def test_a_collection_placed_as_specified_is_not_touched(cluster: FakeCluster) -> None:
    cluster.add()
    assert move(cluster) == 0
    assert cluster.changes == []


@pytest.mark.parametrize(("there", "wanted"), [(1, 2), (1, 3), (2, 3), (3, 2), (3, 1)])
def test_copies_are_made_and_dropped_until_there_are_as_many_as_specified(
    cluster: FakeCluster, there: int, wanted: int
) -> None:
    cluster.add(physical=there)
    assert move(cluster, wanted) == 2 * abs(there - wanted)
    assert copies(cluster) == [wanted, wanted]


def test_a_peer_is_emptied_without_a_shard_ever_having_fewer_copies(cluster: FakeCluster) -> None:
    cluster.add()
    move(cluster, leaving=frozenset({PEERS[1]}))
    assert copies(cluster) == [2, 2]
    assert all(PEERS[1] not in on for on in placed(cluster).values())
    assert asked(cluster) == ["replicate_shard"] * 2 + ["drop_replica"] * 2


def test_each_step_is_reported(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    reported: list[str] = []
    move_replicas(nodes(cluster), NAME, PlacementSpec(factor=2), on_progress=reported.append)
    assert len(reported) == 2
    assert reported[0].startswith(f"{NAME}: copy shard 0 from peer")


def test_a_new_leader_in_the_middle_is_waited_for(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.moves_refused = [500] * 3  # every node in its turn
    move(cluster)
    assert copies(cluster) == [2, 2]


def test_a_move_whose_response_was_lost_is_not_made_twice(cluster: FakeCluster) -> None:
    cluster.add(physical=3)
    cluster.moves_unheard = 1
    move(cluster)  # the next node is asked, and reports no such copy: only the next observation counts
    assert copies(cluster) == [2, 2]


def test_a_lasting_refusal_is_reported_in_qdrants_words(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.moves_refused = [500] * 99
    with pytest.raises(MovesStopped, match=r"copy shard 0 .*leader is not established.* 3 times; .* goes on from here"):
        move(cluster)


def test_a_transfer_that_never_ends_is_aborted_and_reported(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.transfer = ENDLESS
    with pytest.raises(MovesStopped, match=r"nothing has moved.*shard 0 is being copied .*aborted"):
        move(cluster, speed=30)
    assert asked(cluster) == ["replicate_shard", "abort_transfer"]
    assert cluster.collections[NAME].transfers == []


def test_the_next_run_repeats_an_aborted_transfer(cluster: FakeCluster) -> None:
    test_a_transfer_that_never_ends_is_aborted_and_reported(cluster)
    cluster.transfer = "whole"
    move(cluster)
    assert copies(cluster) == [2, 2]


def test_a_transfer_that_fails_every_time_is_reported(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    cluster.transfer = FAILED
    with pytest.raises(MovesStopped, match=r"copy shard 0 .* its copy did not become Active, 3 times"):
        move(cluster, speed=30)


def test_a_recovering_copy_is_waited_for_and_a_stuck_one_is_made_anew(cluster: FakeCluster) -> None:
    cluster.add()
    placed(cluster)[0][PEERS[1]] = "Dead"
    cluster.looks_until_active = 9
    assert move(cluster) == 0
    placed(cluster)[0][PEERS[1]] = "Dead"
    assert move(cluster, speed=30) == 2
    assert copies(cluster) == [2, 2]


def test_a_node_that_does_not_answer_is_named_and_its_copies_are_kept(cluster: FakeCluster) -> None:
    cluster.add()
    before = {shard: dict(on) for shard, on in placed(cluster).items()}
    cluster.down = {2}
    with pytest.raises(MovesStopped, match=cluster.urls[2]):
        move(cluster, speed=30)
    assert placed(cluster) == before


def test_a_copy_that_one_node_takes_for_the_last_active_one_is_never_dropped(cluster: FakeCluster) -> None:
    cluster.add(physical=2)
    cluster.believed[2] = {0: {PEERS[0]: "Active", PEERS[1]: "Dead"}}
    with pytest.raises(MovesStopped, match="do not agree"):
        move(cluster, 1, speed=30)
    assert asked(cluster) == []


def test_more_copies_than_peers_are_an_error(cluster: FakeCluster) -> None:
    cluster.add(physical=3)
    with pytest.raises(MovesStopped, match="4 copies need as many peers, and only 3"):
        move(cluster, 4, speed=30)


def test_the_next_run_resumes_an_interrupted_one(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    reported = []

    def interrupt(step: str) -> None:
        reported.append(step)
        if len(reported) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move_replicas(nodes(cluster), NAME, PlacementSpec(factor=2), on_progress=interrupt)
    assert move(cluster) == 1
    assert copies(cluster) == [2, 2]


def test_a_dry_run_shows_the_steps_and_takes_none(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    plan = plan_for(observe_placement(nodes(cluster), NAME), PlacementSpec(factor=3))
    assert len(plan.steps) == 4
    assert cluster.changes == []
