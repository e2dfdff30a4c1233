"""The life of a declared collection: made or adopted, changed or replaced, watched, dropped; without Pulumi."""

import time
from collections.abc import Mapping
from typing import Any

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_view import physical_factor
from qdrant_admin.collection import blue_green
from qdrant_admin.collection.generations import Generations, generations
from qdrant_admin.collection.params import Declared, change, creation, incompatibilities, seen
from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.moves import Timeouts, move_replicas
from qdrant_admin.placement.plan import PlacementSpec
from qdrant_admin.progress import ProgressCallback

PAUSE_SECONDS = 0.5
CHANGE_SECONDS = 60
ATTEMPTS = 3


def bring(
    declared: Declared, told: ProgressCallback, *, forget_indexes: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Make the cluster have what is declared, whatever it has now; returns what was observed then.

    Done only when every node sees every shard Active on exactly as many peers as declared. An interrupted run is gone
    on with. RuntimeError, and nothing changed, when a collection is there that does not fit and is not ours to replace.
    """
    nodes = nodes_of(declared)
    await_voters(nodes, declared)
    found = look_up(nodes, declared)
    current = found.current
    adopted = current is not None
    if current is None:
        current = make(nodes, declared, declared["name"])
    elif points := incompatibilities(declared, _seen(nodes, declared, current)):
        _refuse_anothers(found, points)
        current = blue_green.replace(nodes, declared, current, lambda name: _prepare(nodes, declared, name, told), told)
    converge(nodes, declared, current, told, forget_indexes)
    if found.served is None:
        nodes.with_retries(lambda node: _serve(node, declared["alias"], current))
    _drop_superseded(nodes, declared, told)
    return (observe(declared) or {}) | {"adopted": adopted}


def observe(declared: Declared) -> dict[str, Any] | None:
    """What the cluster says of the collection now, as it would be declared; None when there is none."""
    nodes = nodes_of(declared)
    found = look_up(nodes, declared)
    if found.current is None:
        return None
    factor = physical_factor(nodes.views(found.current), declared.get("replication_factor", 0))
    return _seen(nodes, declared, found.current) | {
        "alias": declared["alias"] if found.served else "",
        "physical_name": found.current,
        "physical_replication_factor": factor,
        "previous": found.previous,
        "draining": bool(found.draining),
    }


def drop(declared: Declared) -> None:
    """Delete every generation and its data; what is gone already is no error."""
    nodes = nodes_of(declared)
    for name in look_up(nodes, declared).known:
        _drop_everywhere(nodes, name)


def nodes_of(declared: Declared) -> Nodes:
    return Nodes.at(declared["node_urls"], declared["api_key"])


def look_up(nodes: Nodes, declared: Declared) -> Generations:
    """What any node knows: one that lags behind, or lost its disk, knows of none."""
    known = {name for names in nodes.answers(lambda node: node.collections()) for name in names}
    aliases: dict[str, str] = {}
    for each in nodes.answers(lambda node: node.aliases()):
        aliases = each | aliases
    return generations(declared, known, aliases)


def await_voters(nodes: Nodes, declared: Declared) -> None:
    """Return when as many peers vote as there shall be copies: Qdrant never makes up for one that was missing."""
    deadline = time.monotonic() + declared["timeout_seconds"]
    while (voters := sum(nodes.answers(_votes))) < (wanted := declared["replication_factor"]):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"expected {wanted} voting peers, one for each copy of a shard, found {voters}; nothing was changed. "
                "See that all nodes are up and have joined (make status), then run the same command again"
            )
        time.sleep(PAUSE_SECONDS)


def _votes(node: QdrantApi) -> int:
    return int(node.cluster()["raft_info"]["is_voter"])


def make(nodes: Nodes, declared: Declared, name: str) -> str:
    """Create a collection of that name; what became of it counts, not the answer."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            nodes.first(lambda node: node.create_collection(name, creation(declared), CHANGE_SECONDS))
        except (QdrantError, NodeUnreachable) as error:
            refused = isinstance(error, QdrantError) and error.status < 500
            if _exists(nodes, name):
                break
            if attempt == ATTEMPTS or refused:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            break
    if points := incompatibilities(declared, _seen(nodes, declared, name)):  # somebody else was faster
        raise RuntimeError(_incompatibility(name, points))
    return name


def converge(
    nodes: Nodes, declared: Declared, name: str, told: ProgressCallback, forget_indexes: frozenset[str] = frozenset()
) -> None:
    """Change in place what differs, and move replicas until they stand as declared."""
    have = _seen(nodes, declared, name)
    if body := change(declared, have):
        told(f"{name}: changing {', '.join(sorted(body))}")
        nodes.with_retries(lambda node: node.update_collection(name, body, CHANGE_SECONDS))
    _make_indexes(nodes, name, declared["payload_indexes"], have["payload_indexes"], forget_indexes)
    timeouts = Timeouts(timeout_seconds=declared["timeout_seconds"], stalled_seconds=declared["stalled_seconds"])
    move_replicas(nodes, name, PlacementSpec(factor=declared["replication_factor"]), timeouts, told)


def _prepare(nodes: Nodes, declared: Declared, name: str, told: ProgressCallback) -> None:
    """A generation that has all that is declared, but for the points."""
    if not _exists(nodes, name):
        make(nodes, declared, name)
    elif points := incompatibilities(declared, _seen(nodes, declared, name)):
        raise RuntimeError(_incompatibility(name, points))
    converge(nodes, declared, name, told)


def _make_indexes(
    nodes: Nodes, name: str, wanted: Mapping[str, Any], have: Mapping[str, Any], forget: frozenset[str]
) -> None:
    other = {field for field in have if have[field] != wanted.get(field)}
    for field in sorted(other | (forget - wanted.keys())):
        nodes.with_retries(lambda node, field=field: node.delete_index(name, field, CHANGE_SECONDS))  # type: ignore[misc]
    for field, schema in wanted.items():
        if have.get(field) != schema:
            nodes.with_retries(
                lambda node, field=field, schema=schema: node.create_index(name, field, schema, CHANGE_SECONDS)  # type: ignore[misc]
            )


def _drop_superseded(nodes: Nodes, declared: Declared, told: ProgressCallback) -> None:
    """Take over what the generation before got last, and drop it when that is confirmed."""
    found = look_up(nodes, declared)
    if found.draining and found.current:
        blue_green.finish(nodes, declared, found.draining, found.current, told)
    for name in [] if declared["keep_previous"] else look_up(nodes, declared).previous:
        told(f"dropping {name}, which {found.current} has replaced")
        _drop_everywhere(nodes, name)


def _drop_everywhere(nodes: Nodes, name: str) -> None:
    """Return when no node lists it any more: what one that lags still lists would be taken for there."""
    nodes.with_retries(lambda node: node.delete_collection(name, CHANGE_SECONDS))
    deadline = time.monotonic() + CHANGE_SECONDS
    while _exists(nodes, name):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"expected {name} to be gone from every node, found one that lists it after {CHANGE_SECONDS} s; see "
                "that it follows the leader (make status)"
            )
        time.sleep(PAUSE_SECONDS)


def _serve(node: QdrantApi, alias: str, name: str) -> None:
    node.change_aliases([{"create_alias": {"alias_name": alias, "collection_name": name}}])


def _exists(nodes: Nodes, name: str) -> bool:
    return any(name in names for names in nodes.answers(lambda node: node.collections()))


def _seen(nodes: Nodes, declared: Declared, name: str) -> dict[str, Any]:
    found = next((found for found in nodes.answers(lambda node: node.collection(name)) if found), None)
    if found is None:
        raise RuntimeError(f"expected a collection {name}, found that it has just gone; run the same command again")
    return seen(declared, found)


def _refuse_anothers(found: Generations, points: list[str]) -> None:
    if found.served is None:
        raise RuntimeError(_incompatibility(found.name, points))


def _incompatibility(name: str, points: list[str]) -> str:
    return (
        f"a collection {name} is already there, serves no alias of ours, and does not fit: {'; '.join(points)}. Change "
        "the stack file to match it, or give the collection another name; nothing was changed"
    )
