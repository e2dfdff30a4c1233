"""Making a collection, and knowing that it is replicated: on the peers, not in its parameters."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from providers.cluster_view import active_peers, replicas
from providers.qdrant_api import NodeUnreachable, QdrantApi, QdrantError

Declared = Mapping[str, Any]  # the inputs of ReplicatedCollection
PAUSE_SECONDS = 0.5
# What only another collection can have otherwise: Qdrant keeps them for life.
FIXED = ("name", "vector_size", "distance", "shard_number")


def create_or_adopt(declared: Declared) -> dict[str, Any]:
    """Create the collection, or adopt one that fits; returns what was observed once it is replicated.

    RuntimeError with a point-by-point difference when one of that name does not fit; TimeoutError when a shard is
    not Active on as many distinct peers as declared, seen from every node, within `timeout_seconds`.
    """
    found = _existing(declared)
    if found:
        _refuse_misfit(declared, found)
    else:
        _create(declared)
    return await_replication(declared) | {"adopted": found is not None}


def observe(declared: Declared) -> dict[str, Any] | None:
    """What the cluster says of the collection now; None when there is none."""
    found = _existing(declared)
    if found is None:
        return None
    return _parameters(found) | {"physical_replication_factor": physical_factor(_views(declared))}


def change(olds: Declared, news: Declared) -> dict[str, Any]:
    """Bring what can be changed in place to what is declared; RuntimeError for what needs another collection."""
    fixed = [key for key in FIXED if olds.get(key) != news[key]]
    if fixed or olds["replication_factor"] != news["replication_factor"]:
        moved = fixed or ["replication_factor"]
        raise RuntimeError(
            f"expected {', '.join(moved)} of collection {olds['name']} to stay, found a change: this Qdrant cannot do "
            "it in place. Declare a collection of another name, re-index into it, then drop the old one"
        )
    if olds["write_consistency_factor"] != news["write_consistency_factor"]:
        body = {"params": {"write_consistency_factor": news["write_consistency_factor"]}}
        _first_answer(news, lambda node: node.update_collection(news["name"], body, 60))
    return await_replication(news) | {"adopted": olds.get("adopted", False)}


def drop(declared: Declared) -> None:
    """Delete the collection; one that is gone already is no error."""
    if _existing(declared) is not None:
        _first_answer(declared, lambda node: node.delete_collection(declared["name"], 60))


def await_replication(declared: Declared) -> dict[str, Any]:
    """Wait until every node sees every shard Active on the declared number of peers, and report the factor."""
    deadline = time.monotonic() + declared["timeout_seconds"]
    while missing := under_replicated(_views(declared), declared["shard_number"], declared["replication_factor"]):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"expected {declared['replication_factor']} Active replicas of every shard of {declared['name']} "
                f"within {declared['timeout_seconds']} s, found: {'; '.join(missing[:4])}. Check that all nodes are "
                "up (a collection made while one is missing stays under-replicated), then run the same command again"
            )
        time.sleep(PAUSE_SECONDS)
    return {"physical_replication_factor": physical_factor(_views(declared))}


def under_replicated(views: Mapping[str, Mapping[str, Any] | None], shards: int, factor: int) -> list[str]:
    """What each node (URL -> its view of the collection, None if it gave none) still misses; empty when nothing."""
    reasons = []
    for url, view in views.items():
        if view is None:
            reasons.append(f"{url} does not know the collection")
            continue
        if len(replicas(view)) != shards:
            reasons.append(f"{url} knows {len(replicas(view))} of {shards} shards")
        for shard in sorted(replicas(view)):
            if (active := len(active_peers(view, shard))) < factor:
                reasons.append(f"shard {shard} has {active} of {factor} Active replicas, seen from {url}")
    return reasons


def physical_factor(views: Mapping[str, Mapping[str, Any] | None]) -> int:
    """The smallest number of Active replicas that any shard has, in the gloomiest node's view."""
    counts = [len(active_peers(view, shard)) for view in views.values() if view for shard in replicas(view)]
    return min(counts, default=0)


def _existing(declared: Declared) -> dict[str, Any] | None:
    """The collection as the first node that knows it has it: one that lags behind, or lost its disk, knows of none."""
    return next((found for found in _answers(declared, lambda node: node.collection(declared["name"])) if found), None)


def _create(declared: Declared) -> None:
    body = {
        "vectors": {"size": declared["vector_size"], "distance": declared["distance"]},
        "shard_number": declared["shard_number"],
        "replication_factor": declared["replication_factor"],
        "write_consistency_factor": declared["write_consistency_factor"],
    }
    try:
        _first_answer(declared, lambda node: node.create_collection(declared["name"], body, 60))
    except (QdrantError, NodeUnreachable):
        # A time-out or a conflict says nothing of what became of the collection: only a look does.
        found = _existing(declared)
        if found is None:
            raise
        _refuse_misfit(declared, found)


def _refuse_misfit(declared: Declared, found: Mapping[str, Any]) -> None:
    different = [f"{key}: expected {declared[key]}, found {value}" for key, value in _parameters(found).items()
                 if declared[key] != value]  # fmt: skip
    if different:
        raise RuntimeError(
            f"a collection {declared['name']} is already there and does not fit: {'; '.join(different)}. "
            "Change the stack file to match it, or give the collection another name; nothing was changed"
        )


def _parameters(found: Mapping[str, Any]) -> dict[str, Any]:
    parameters = found["config"]["params"]
    vectors = parameters.get("vectors") or {}  # named ones have neither size nor distance of their own
    return {
        "vector_size": vectors.get("size"),
        "distance": vectors.get("distance"),
        "shard_number": parameters["shard_number"],
        "replication_factor": parameters["replication_factor"],
        "write_consistency_factor": parameters["write_consistency_factor"],
    }


def _nodes(declared: Declared) -> list[QdrantApi]:
    return [QdrantApi(url, declared["api_key"]) for url in declared["node_urls"]]


def _views(declared: Declared) -> dict[str, Mapping[str, Any] | None]:
    return {node.url: _collection_view(node, declared["name"]) for node in _nodes(declared)}


def _collection_view(node: QdrantApi, name: str) -> Mapping[str, Any] | None:
    try:
        return node.collection_cluster(name)
    except (NodeUnreachable, QdrantError):
        return None


def _first_answer(declared: Declared, ask: Callable[[QdrantApi], Any]) -> Any:
    """Any node serves any request."""
    return next(_answers(declared, ask))


def _answers(declared: Declared, ask: Callable[[QdrantApi], Any]) -> Iterator[Any]:
    """What each node says in its turn, asked only as far as the caller reads on; NodeUnreachable when none answers."""
    silent: list[Exception] = []
    for node in (nodes := _nodes(declared)):
        try:
            yield ask(node)
        except NodeUnreachable as error:
            silent.append(error)
        except QdrantError as error:
            if error.status < 500:  # a plain no is every node's no
                raise
            silent.append(error)
    if len(silent) == len(nodes):
        raise silent[-1]
