"""What counts as a settled cluster, and as a replicated collection; each with what must not count."""

from copy import deepcopy
from typing import Any

import pytest

from qdrant_admin.cluster_view import NodeView, founded_size, physical_factor, unsettled
from qdrant_admin.settling import unsettled_at_first_start, unsettled_members

PEERS = (11, 12, 13)


def cluster(peer: int, peers: tuple[int, ...] = PEERS, **raft: Any) -> dict[str, Any]:
    info = {"term": 3, "commit": 40, "leader": 11, "pending_operations": 0, "is_voter": True, "role": "Follower"}
    return {"peer_id": peer, "peers": {str(known): {} for known in peers}, "raft_info": info | raft}


def collection(peer: int, states: dict[tuple[int, int], str] | None = None) -> dict[str, Any]:
    """Two shards, each on two peers: shard 0 on 11 and 12, shard 1 on 12 and 13."""
    placed = {(0, 11): "Active", (0, 12): "Active", (1, 12): "Active", (1, 13): "Active"} | (states or {})
    return {
        "peer_id": peer,
        "shard_transfers": [],
        "local_shards": [{"shard_id": s, "state": state} for (s, p), state in placed.items() if p == peer],
        "remote_shards": [
            {"shard_id": s, "peer_id": p, "state": state} for (s, p), state in placed.items() if p != peer
        ],
    }


def settled_views() -> list[NodeView]:
    return [NodeView(url=f"n{p}", cluster=cluster(p), collections={"docs": collection(p)}) for p in PEERS]


def test_nodes_that_agree_on_everything_are_settled() -> None:
    assert unsettled(settled_views()) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"term": 4}, "term"),
        ({"commit": 41}, "commit"),
        ({"leader": None}, "leader"),
        ({"pending_operations": 2}, "pending"),
        ({"is_voter": False}, "voter"),
    ],
)
def test_one_node_that_differs_unsettles_the_cluster(spoil: dict[str, Any], reason: str) -> None:
    views = settled_views()
    views[2] = NodeView(url="n13", cluster=cluster(13, **spoil), collections=views[2].collections)
    assert any(reason in found for found in unsettled(views))


def test_a_node_that_does_not_answer_unsettles_the_cluster() -> None:
    views = settled_views()
    views[1] = NodeView(url="n12", cluster=None, collections={})
    assert unsettled(views) == ["n12 does not answer"]


def test_a_peer_that_not_all_know_unsettles_the_cluster() -> None:
    views = settled_views()
    views[0] = NodeView(url="n11", cluster=cluster(11, peers=(11,)), collections={})
    assert any("peers" in found for found in unsettled(views))


def test_a_replica_that_is_not_active_anywhere_unsettles_the_cluster() -> None:
    views = settled_views()
    views[0] = NodeView(url="n11", cluster=cluster(11), collections={"docs": collection(11, {(1, 13): "Dead"})})
    assert unsettled(views) == ["docs: shard 1 is Dead on peer 13, seen from n11"]


def test_a_transfer_under_way_unsettles_the_cluster() -> None:
    views = settled_views()
    moving = deepcopy(collection(11)) | {"shard_transfers": [{"shard_id": 0, "from": 11, "to": 13}]}
    views[0] = NodeView(url="n11", cluster=cluster(11), collections={"docs": moving})
    assert any("transfer" in found for found in unsettled(views))


def test_the_first_node_of_an_existing_cluster_does_not_wait_for_a_majority() -> None:
    alone = [NodeView(url="n11", cluster=cluster(11, leader=None), collections={})]
    assert founded_size(alone) == 3
    assert unsettled_at_first_start(alone) == []


def test_the_first_node_of_a_new_cluster_must_lead_itself() -> None:
    alone = [NodeView(url="n11", cluster=cluster(11, peers=(11,), leader=None), collections={})]
    assert unsettled_at_first_start(alone) != []


def test_nodes_that_never_joined_are_not_waited_for_but_joined_ones_are() -> None:
    two = [NodeView(url=f"n{p}", cluster=cluster(p, peers=(11, 12)), collections={}) for p in (11, 12)]
    never = NodeView(url="n13", cluster=None, collections={})
    assert unsettled_members([*two, never]) == []
    assert unsettled_members([*settled_views()[:2], never]) == ["n13 does not answer"]


def test_a_collection_is_as_replicated_as_the_lowest_count_that_any_node_reports() -> None:
    views: dict[str, Any] = {f"n{p}": collection(p) for p in PEERS}
    assert physical_factor(views) == 2
    views["n13"] = collection(13, {(1, 13): "Initializing"})
    assert physical_factor(views) == 1, "parameters do not count, and neither does a replica that is not Active"


def test_more_replicas_than_declared_are_no_better_than_fewer() -> None:
    views: dict[str, Any] = {f"n{p}": collection(p, {(0, 13): "Active"}) for p in PEERS}
    assert physical_factor(views, declared=2) == 3
    assert physical_factor(views, declared=3) == 2


def test_a_node_that_refuses_the_key_is_reported_with_its_answer() -> None:
    views = settled_views()
    views[1] = NodeView(url="n12", cluster=None, collections={}, failure="answers HTTP 401: no")
    assert unsettled(views) == ["n12 answers HTTP 401: no"]
