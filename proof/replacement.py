"""A node whose disk is lost, put back: a leader without it, its peer struck out, started empty, its shards copied."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proof.cluster_change import change_shards, strike_out, until
from providers.cluster_view import active_peers, replicas
from providers.qdrant_api import QdrantApi


def replace_node(nodes: Sequence[QdrantApi], ordinal: int, collection: str, start: Callable[[], None]) -> None:
    """Replace the stopped node `ordinal`, whose volume is empty; done when every shard has as many copies as before.

    Each step waits for the one before: struck out before there is a leader, the call fails after ten seconds.
    """
    others = [node for n, node in enumerate(nodes) if n != ordinal]
    lost = until("a leader that is alive", lambda: _lost_peer(others, nodes[ordinal]))
    factor = _factor(others[0], collection)
    until("the lost peer to be struck out", lambda: _struck_out(others[0], lost))
    start()
    fresh = until("the new peer to vote", lambda: _voter(nodes[ordinal], len(nodes)))
    until("every shard copied", lambda: _copied(others[0], collection, fresh, factor), seconds=180)


def _lost_peer(others: Sequence[QdrantApi], gone: QdrantApi) -> int | None:
    """The id of the peer that does not live, once the living agree on a leader among themselves."""
    views = [node.cluster() for node in others]
    alive = {view["peer_id"] for view in views}
    leaders = {view["raft_info"]["leader"] for view in views}
    lost = {int(peer) for view in views for peer in view["peers"]} - alive
    return lost.pop() if len(leaders) == 1 and leaders <= alive and len(lost) == 1 else None


def _factor(node: QdrantApi, collection: str) -> int:
    found = node.collection(collection)
    assert found, "the collection that was asked for exists"
    return int(found["config"]["params"]["replication_factor"])


def _struck_out(node: QdrantApi, peer: int) -> bool | None:
    if str(peer) not in node.cluster()["peers"]:
        return True
    strike_out(node, peer)
    return None


def _voter(node: QdrantApi, peers: int) -> int | None:
    view = node.cluster()
    return int(view["peer_id"]) if view["raft_info"]["is_voter"] and len(view["peers"]) == peers else None


def _copied(node: QdrantApi, collection: str, fresh: int, factor: int) -> bool | None:
    """Copy what is missing, one shard at a time; done when there is nothing to copy and nothing on its way."""
    view = node.collection_cluster(collection)
    if view["shard_transfers"]:
        return None
    for shard in sorted(replicas(view)):
        if len(active_peers(view, shard)) < factor:
            if fresh not in replicas(view)[shard]:
                change_shards(node, collection, _copy(view, shard, fresh))
            return None
    return True


def _copy(view: Mapping[str, Any], shard: int, to: int) -> dict[str, Any]:
    source = min(active_peers(view, shard))
    return {"replicate_shard": {"shard_id": shard, "from_peer_id": source, "to_peer_id": to}}
