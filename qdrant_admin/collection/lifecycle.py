"""The life of a declared collection: created or adopted, changed or replaced, observed, dropped; without Pulumi."""

from collections.abc import Mapping
from typing import Any

from access.polling import poll, require
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.cluster_view import physical_factor
from qdrant_admin.collection import blue_green
from qdrant_admin.collection.config import as_declared, change_body, creation_body, incompatibilities
from qdrant_admin.collection.generations import Generations, generations
from qdrant_admin.collection.spec import CHANGEABLE, FIXED, CollectionSpec
from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.moves import Goal, Timeouts, move_replicas
from qdrant_admin.progress import ProgressCallback

PAUSE_SECONDS = 0.5
CHANGE_SECONDS = 60
ATTEMPTS = 3


def reconcile(
    spec: CollectionSpec,
    access: ClusterAccess,
    on_progress: ProgressCallback,
    *,
    forget_indexes: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Make the cluster have what is declared, whatever it has now; returns what is observed then.

    Done only when every node reports every shard Active on exactly as many peers as declared. An interrupted run is
    continued. RuntimeError, and nothing changed, when a collection exists that does not fit and that the alias does not
    serve.
    """
    await_voters(spec, access)
    found = find_generations(spec, access)
    current = found.current
    adopted = current is not None
    if current is None:
        create(spec, access, current := spec.name)
    elif points := incompatibilities(spec, _observed(spec, access, current)):
        if found.served is None:
            raise RuntimeError(_incompatibility(found.name, points))
        current = blue_green.replace(
            spec, access, current, lambda name: _prepare(spec, access, name, on_progress), on_progress
        )
    converge(spec, access, current, on_progress, forget_indexes)
    if found.served is None:
        access.peers().with_retries(lambda node: _serve(node, spec.alias, current))
    _drop_superseded(spec, access, on_progress)
    return (observe(spec, access) or {}) | {"adopted": adopted}


def observe(spec: CollectionSpec, access: ClusterAccess) -> dict[str, Any] | None:
    """The collection as the cluster reports it, in the words of the spec; None when there is none."""
    found = find_generations(spec, access)
    if found.current is None:
        return None
    observed = _observed(spec, access, found.current)
    return {key: getattr(observed, key) for key in (*FIXED, *CHANGEABLE)} | {
        "alias": spec.alias if found.served else "",
        "physical_name": found.current,
        "physical_replication_factor": physical_factor(access.peers().views(found.current), spec.replication_factor),
        "previous": found.previous,
        "draining": bool(found.draining),
    }


def drop(spec: CollectionSpec, access: ClusterAccess) -> None:
    """Delete every generation and its data; one that is gone already is no error."""
    for name in find_generations(spec, access).known:
        _drop_everywhere(access, name)


def find_generations(spec: CollectionSpec, access: ClusterAccess) -> Generations:
    """What any node knows: one that lags behind, or lost its disk, knows of none."""
    nodes = access.peers()
    known = {name for names in nodes.answers(lambda node: node.collections()) for name in names}
    aliases: dict[str, str] = {}
    for each in nodes.answers(lambda node: node.aliases()):
        aliases = each | aliases
    return generations(spec, known, aliases)


def await_voters(spec: CollectionSpec, access: ClusterAccess) -> None:
    """Return when as many peers vote as copies are declared: Qdrant never adds a copy whose peer was missing."""

    def enough() -> None:
        voters = sum(access.peers().answers(_votes))
        require(voters >= spec.replication_factor, f"{voters}; nothing was changed")

    poll(
        enough,
        access.timeout_seconds,
        expected=f"{spec.replication_factor} voting peers, one for each copy of a shard,",
        advice="See that all nodes are up and have joined (make status), then run the same command again",
        clock=access.clock,
    )


def _votes(node: QdrantApi) -> int:
    return int(node.cluster()["raft_info"]["is_voter"])


def create(spec: CollectionSpec, access: ClusterAccess, name: str) -> None:
    """Create a collection of that name, and read it back: the response may be lost."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            access.peers().first(lambda node: node.create_collection(name, creation_body(spec), CHANGE_SECONDS))
            break
        except (QdrantError, NodeUnreachable) as error:
            refused = isinstance(error, QdrantError) and error.status < 500
            if _exists(access.peers(), name):
                break
            if attempt == ATTEMPTS or refused:
                raise
            access.clock.sleep(PAUSE_SECONDS)
    if points := incompatibilities(spec, _observed(spec, access, name)):  # another client was faster
        raise RuntimeError(_incompatibility(name, points))


def converge(
    spec: CollectionSpec,
    access: ClusterAccess,
    name: str,
    on_progress: ProgressCallback,
    forget_indexes: frozenset[str] = frozenset(),
) -> None:
    """Change in place what differs, and move replicas until they stand as declared."""
    nodes, found = access.peers(), _observed(spec, access, name)
    if body := change_body(spec, found):
        on_progress(f"{name}: changing {', '.join(sorted(body))}")
        nodes.with_retries(lambda node: node.update_collection(name, body, CHANGE_SECONDS))
    _change_indexes(nodes, name, spec.payload_indexes, found.payload_indexes, forget_indexes)
    timeouts = Timeouts(timeout_seconds=access.timeout_seconds, stalled_seconds=access.stalled_seconds)
    move_replicas(nodes, name, Goal(factor=spec.replication_factor), timeouts, on_progress)


def _prepare(spec: CollectionSpec, access: ClusterAccess, name: str, on_progress: ProgressCallback) -> None:
    """A generation that has all that is declared, but for the points."""
    if not _exists(access.peers(), name):
        create(spec, access, name)
    elif points := incompatibilities(spec, _observed(spec, access, name)):
        raise RuntimeError(_incompatibility(name, points))
    converge(spec, access, name, on_progress)


def _change_indexes(
    nodes: Nodes, name: str, wanted: Mapping[str, Any], found: Mapping[str, Any], forget: frozenset[str]
) -> None:
    other = {field for field in found if found[field] != wanted.get(field)}
    for field in sorted(other | (forget - wanted.keys())):
        nodes.with_retries(lambda node, field=field: node.delete_index(name, field, CHANGE_SECONDS))  # type: ignore[misc]
    for field, schema in wanted.items():
        if found.get(field) != schema:
            nodes.with_retries(
                lambda node, field=field, schema=schema: node.create_index(name, field, schema, CHANGE_SECONDS)  # type: ignore[misc]
            )


def _drop_superseded(spec: CollectionSpec, access: ClusterAccess, on_progress: ProgressCallback) -> None:
    """Take over late writes to the generation before, and drop it when that is confirmed."""
    found = find_generations(spec, access)
    if found.draining and found.current:
        blue_green.finish(spec, access, found.draining, found.current, on_progress)
    for name in [] if spec.keep_previous else find_generations(spec, access).previous:
        on_progress(f"dropping {name}, which {found.current} has replaced")
        _drop_everywhere(access, name)


def _drop_everywhere(access: ClusterAccess, name: str) -> None:
    """Return when no node lists it any more: it would be taken for an existing one."""
    nodes = access.peers()
    nodes.with_retries(lambda node: node.delete_collection(name, CHANGE_SECONDS))
    poll(
        lambda: require(not _exists(nodes, name), "one that lists it"),
        CHANGE_SECONDS,
        expected=f"{name} to be gone from every node",
        advice="See that it follows the leader (make status)",
        clock=access.clock,
    )


def _serve(node: QdrantApi, alias: str, name: str) -> None:
    node.change_aliases([{"create_alias": {"alias_name": alias, "collection_name": name}}])


def _exists(nodes: Nodes, name: str) -> bool:
    return any(name in names for names in nodes.answers(lambda node: node.collections()))


def _observed(spec: CollectionSpec, access: ClusterAccess, name: str) -> CollectionSpec:
    reports = access.peers().answers(lambda node: node.collection(name))
    if found := next((report for report in reports if report), None):
        return as_declared(spec, found)
    raise RuntimeError(f"expected a collection {name}, found that it has just gone; run the same command again")


def _incompatibility(name: str, points: list[str]) -> str:
    return (
        f"a collection {name} is already there, serves no alias of ours, and does not fit: {'; '.join(points)}. Change "
        "the stack file to match it, or give the collection another name; nothing was changed"
    )
