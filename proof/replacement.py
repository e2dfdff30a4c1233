"""A node whose disk is lost, put back: a leader without it, its peer struck out, started empty, its shards copied."""

from collections.abc import Callable, Sequence

from proof.cluster_change import strike_out, until
from providers.nodes import Nodes
from providers.qdrant_api import QdrantApi
from providers.replica_moves import Goal, Patience, move_replicas


def replace_node(nodes: Sequence[QdrantApi], ordinal: int, collection: str, start: Callable[[], None]) -> None:
    """Replace the stopped node `ordinal`, whose volume is empty; done when every shard has as many copies as before.

    Each step waits for the one before: struck out before there is a leader, the call fails after ten seconds.
    """
    others = [node for n, node in enumerate(nodes) if n != ordinal]
    lost = until("a leader that is alive", lambda: _lost_peer(others, nodes[ordinal]))
    factor = _factor(others[0], collection)
    until("the lost peer to be struck out", lambda: _struck_out(others[0], lost))
    start()
    until("the new peer to vote", lambda: _votes(nodes[ordinal], len(nodes)))
    move_replicas(Nodes(nodes), collection, Goal(factor=factor), Patience(timeout_seconds=180))


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


def _votes(node: QdrantApi, peers: int) -> bool | None:
    view = node.cluster()
    return True if view["raft_info"]["is_voter"] and len(view["peers"]) == peers else None
