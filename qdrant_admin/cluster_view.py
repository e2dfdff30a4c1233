"""What the nodes of a cluster report of themselves, and what is missing until they agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """What one node reports; `cluster` is None when it reports nothing, and `failure` is then the reason."""

    url: str
    cluster: Mapping[str, Any] | None
    collections: Mapping[str, Mapping[str, Any]]
    failure: str = "does not answer"


def observe_nodes(nodes: Iterable[QdrantApi]) -> list[NodeView]:
    """Ask every node for its view."""
    return [_view(node) for node in nodes]


def _view(node: QdrantApi) -> NodeView:
    try:
        collections = {name: view for name in node.collections() if (view := _collection(node, name))}
        return NodeView(url=node.url, cluster=node.cluster(), collections=collections)
    except NodeUnreachable:
        return NodeView(url=node.url, cluster=None, collections={})
    except QdrantError as error:
        return NodeView(url=node.url, cluster=None, collections={}, failure=f"answers {error}")


def _collection(node: QdrantApi, name: str) -> Mapping[str, Any] | None:
    """Where the replicas are; None for a collection that went meanwhile, or whose name nothing can ask for."""
    try:
        return node.collection_cluster(name)
    except QdrantError as error:
        if error.status in (400, 404):
            return None
        raise QdrantError(error.status, f"for the collection {name}: {error}") from error


def unsettled(views: list[NodeView]) -> list[str]:
    """Why these nodes are not one settled cluster; empty when they are.

    Settled: all answer, know the same peers (as many as there are nodes), share leader, term and commit, vote, have
    nothing pending, and see every replica of every shard Active with no transfer under way.
    """
    silent = [f"{view.url} {view.failure}" for view in views if view.cluster is None]
    if silent:
        return silent
    return _disagreements(views) + [reason for view in views for reason in _node_reasons(view)]


def founded_size(views: list[NodeView]) -> int:
    """How many peers the largest view knows: a cluster that existed before knows more than have been started."""
    return max((len(view.cluster["peers"]) for view in views if view.cluster), default=0)


def replicas(view: Mapping[str, Any]) -> dict[int, dict[int, str]]:
    """Shard -> peer -> state, from one node's view of a collection."""
    found: dict[int, dict[int, str]] = {}
    for shard in view["local_shards"]:
        found.setdefault(shard["shard_id"], {})[view["peer_id"]] = shard["state"]
    for shard in view["remote_shards"]:
        found.setdefault(shard["shard_id"], {})[shard["peer_id"]] = shard["state"]
    return found


def active_peers(view: Mapping[str, Any], shard: int) -> set[int]:
    """The peers that hold an Active replica of the shard."""
    return {peer for peer, state in replicas(view).get(shard, {}).items() if state == "Active"}


def physical_factor(views: Mapping[str, Mapping[str, Any] | None], declared: int = 0) -> int:
    """The lowest count of Active replicas that any node reports of any shard.

    The highest count, when that is more than `declared` and no shard has fewer.
    """
    counts = [len(active_peers(view, shard)) for view in views.values() if view for shard in replicas(view)]
    fewest, most = min(counts, default=0), max(counts, default=0)
    return most if 0 < declared <= fewest else fewest


def _disagreements(views: list[NodeView]) -> list[str]:
    clusters = [view.cluster for view in views if view.cluster]
    reasons = []
    peers = {frozenset(cluster["peers"]) for cluster in clusters}
    if peers and (len(peers) > 1 or len(next(iter(peers))) != len(views)):
        reasons.append(f"expected {len(views)} peers known to all, found {sorted(len(known) for known in peers)}")
    for fact in ("leader", "term", "commit"):
        values = {cluster["raft_info"][fact] for cluster in clusters}
        if len(values) > 1 or None in values:
            reasons.append(f"the nodes do not agree on the {fact}: {sorted(map(str, values))}")
    return reasons


def _node_reasons(view: NodeView) -> list[str]:
    assert view.cluster is not None
    raft = view.cluster["raft_info"]
    reasons = [] if raft["is_voter"] else [f"{view.url} is not a voter yet"]
    if raft["pending_operations"]:
        reasons.append(f"{view.url} has {raft['pending_operations']} operations pending")
    for name, collection in view.collections.items():
        if collection["shard_transfers"]:
            reasons.append(f"{name}: {len(collection['shard_transfers'])} transfers under way, seen from {view.url}")
        for shard, states in sorted(replicas(collection).items()):
            reasons += [
                f"{name}: shard {shard} is {state} on peer {peer}, seen from {view.url}"
                for peer, state in sorted(states.items())
                if state != "Active"
            ]
    return reasons
