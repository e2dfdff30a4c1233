"""What the nodes of a cluster report of themselves, and what is missing until they agree."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """What one node reports; `cluster` is None when it reports nothing, and `failure` is then the reason."""

    url: str
    cluster: Mapping[str, Any] | None
    collections: Mapping[str, Mapping[str, Any]]
    failure: str = "does not answer"
    unreadable: Mapping[str, str] = field(default_factory=dict)  # collection -> why its view could not be read


def observe_nodes(nodes: Iterable[QdrantApi]) -> list[NodeView]:
    """Ask every node for its view."""
    return [_view(node) for node in nodes]


def _view(node: QdrantApi) -> NodeView:
    collections: dict[str, Mapping[str, Any]] = {}
    unreadable: dict[str, str] = {}
    try:
        for name in node.collections():
            try:
                collections[name] = node.collection_cluster(name)
            except QdrantError as error:
                unreadable[name] = f"answers {error}"
        return NodeView(url=node.url, cluster=node.cluster(), collections=collections, unreadable=unreadable)
    except NodeUnreachable:
        return NodeView(url=node.url, cluster=None, collections={})
    except QdrantError as error:
        return NodeView(url=node.url, cluster=None, collections={}, failure=f"answers {error}")


def unsettled(views: list[NodeView]) -> list[str]:
    """Why these nodes are not one settled cluster; empty when they are.

    Settled: all answer, know the same peers (as many as there are nodes), share leader, term and commit, vote, have
    nothing pending, and see every replica of every shard Active with no transfer under way. What waiting cannot mend
    (see `beyond_waiting`) is no reason: it would keep every node from being replaced for ever.
    """
    silent = [f"{view.url} {view.failure}" for view in views if view.cluster is None]
    if silent:
        return silent
    lost = _unreadable_everywhere(views)
    return _disagreements(views) + [reason for view in views for reason in _node_reasons(view, lost)]


def beyond_waiting(views: list[NodeView]) -> list[str]:
    """What is wrong with a collection and no wait can mend: no node can show it, or all replicas of a shard are Dead.

    A node that is replaced keeps its disk: such a collection is as it was before.
    """
    named = [f"collection {name!r}: every node {reason}" for name, reason in _unreadable_everywhere(views).items()]
    dead = {(name, shard) for view in views for name, found in view.collections.items() for shard in _all_dead(found)}
    return named + [f"collection {name!r}: every replica of shard {shard} is Dead" for name, shard in sorted(dead)]


def _unreadable_everywhere(views: list[NodeView]) -> dict[str, str]:
    """Collections that every node names and none can show; where only some cannot, those lag behind."""
    names = set.intersection(*(set(view.unreadable) for view in views)) if views else set()
    return {name: views[0].unreadable[name] for name in sorted(names)}


def _all_dead(view: Mapping[str, Any]) -> set[int]:
    return {shard for shard, states in replicas(view).items() if set(states.values()) == {"Dead"}}


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


def shard_keys(view: Mapping[str, Any]) -> dict[int, str | int | None]:
    """Shard -> its key, None without custom sharding."""
    return {each["shard_id"]: each.get("shard_key") for each in (*view["local_shards"], *view["remote_shards"])}


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


def _node_reasons(view: NodeView, lost: Container[str]) -> list[str]:
    assert view.cluster is not None
    raft = view.cluster["raft_info"]
    reasons = [] if raft["is_voter"] else [f"{view.url} is not a voter yet"]
    if raft["pending_operations"]:
        reasons.append(f"{view.url} has {raft['pending_operations']} operations pending")
    reasons += [f"{name}: {view.url} {why}" for name, why in view.unreadable.items() if name not in lost]
    for name, collection in view.collections.items():
        if collection["shard_transfers"]:
            reasons.append(f"{name}: {len(collection['shard_transfers'])} transfers under way, seen from {view.url}")
        dead = _all_dead(collection)
        for shard, states in sorted(replicas(collection).items()):
            reasons += [
                f"{name}: shard {shard} is {state} on peer {peer}, seen from {view.url}"
                for peer, state in sorted(states.items())
                if state != "Active" and shard not in dead
            ]
    return reasons
