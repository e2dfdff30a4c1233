"""The life of a declared collection: created or adopted, changed or replaced, observed, dropped; without Pulumi."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from access.polling import poll, require
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.cluster_view import physical_factor
from qdrant_admin.collection.blue_green import BlueGreen
from qdrant_admin.collection.config import as_declared, change_body, creation_body, incompatibilities
from qdrant_admin.collection.generations import Generations, generations
from qdrant_admin.collection.spec import CHANGEABLE, FIXED, CollectionSpec
from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.moves import Timeouts, move_replicas
from qdrant_admin.placement.plan import PlacementSpec
from qdrant_admin.progress import ProgressCallback

PAUSE_SECONDS = 0.5
CHANGE_SECONDS = 60
ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """One declared collection in one cluster."""

    spec: CollectionSpec
    access: ClusterAccess
    on_progress: ProgressCallback = lambda _: None

    def reconcile(self, *, forget_indexes: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Make the cluster have what is declared, whatever it has now; returns what is observed then.

        Done only when every node reports every shard Active on exactly as many peers as declared. An interrupted run is
        continued. RuntimeError, and nothing changed, when a collection exists that does not fit and that the alias does
        not serve.
        """
        self._await_voters()
        found = self._generations()
        current, adopted = found.current, found.current is not None
        if current is None:
            self._create(current := self.spec.name)
        elif points := incompatibilities(self.spec, self._observed(current)):
            if found.served is None:
                raise RuntimeError(_incompatibility(found.name, points))
            current = self._blue_green.replace(current, self._prepare)
        self._converge(current, forget_indexes)
        if found.served is None:
            self._nodes.with_retries(lambda node: _serve(node, self.spec.alias, current))
        self._drop_superseded()
        return (self.observe() or {}) | {"adopted": adopted}

    def observe(self) -> dict[str, Any] | None:
        """The collection as the cluster reports it, in the words of the spec; None when there is none."""
        found = self._generations()
        if found.current is None:
            return None
        observed, views = self._observed(found.current), self._nodes.views(found.current)
        return {key: getattr(observed, key) for key in (*FIXED, *CHANGEABLE, *self.spec.optional)} | {
            "alias": self.spec.alias if found.served else "",
            "physical_name": found.current,
            "physical_replication_factor": physical_factor(views, self.spec.replication_factor),
            "previous": found.previous,
            "draining": bool(found.draining),
        }

    def drop(self) -> None:
        """Delete every generation and its data; one that is gone already is no error."""
        for name in self._generations().known:
            self._drop_everywhere(name)

    @property
    def _nodes(self) -> Nodes:
        return self.access.peers()

    @property
    def _blue_green(self) -> BlueGreen:
        return BlueGreen(spec=self.spec, access=self.access, on_progress=self.on_progress)

    def _generations(self) -> Generations:
        """What any node knows: one that lags behind, or lost its disk, knows of none."""
        known = {name for names in self._nodes.answers(lambda node: node.collections()) for name in names}
        aliases: dict[str, str] = {}
        for each in self._nodes.answers(lambda node: node.aliases()):
            aliases = each | aliases
        return generations(self.spec, known, aliases)

    def _await_voters(self) -> None:
        """Return when as many peers vote as copies are declared: Qdrant never adds a copy whose peer was missing."""
        wanted = self.spec.replication_factor

        def enough() -> None:
            voters = sum(self._nodes.answers(lambda node: int(node.cluster()["raft_info"]["is_voter"])))
            require(voters >= wanted, f"{voters}; nothing was changed")

        expected = f"{wanted} voting peers, one for each copy of a shard,"
        advice = "See that all nodes are up and have joined (make status), then run the same command again"
        poll(enough, self.access.timeout_seconds, expected=expected, advice=advice, clock=self.access.clock)

    def _create(self, name: str) -> None:
        """Create a collection of that name, and read it back: the response may be lost."""
        body = creation_body(self.spec)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._nodes.first(lambda node: node.create_collection(name, body, CHANGE_SECONDS))
                break
            except (QdrantError, NodeUnreachable) as error:
                refused = isinstance(error, QdrantError) and error.status < 500
                if _exists(self._nodes, name):
                    break
                if attempt == ATTEMPTS or refused:
                    raise
                self.access.clock.sleep(PAUSE_SECONDS)
        self._require_fitting(name)  # another client may have been faster

    def _require_fitting(self, name: str) -> None:
        if points := incompatibilities(self.spec, self._observed(name)):
            raise RuntimeError(_incompatibility(name, points))

    def _converge(self, name: str, forget_indexes: frozenset[str] = frozenset()) -> None:
        """Change in place what differs, and move replicas until they stand as declared."""
        spec, access, found = self.spec, self.access, self._observed(name)
        if body := change_body(spec, found):
            self.on_progress(f"{name}: changing {', '.join(sorted(body))}")
            self._nodes.with_retries(lambda node: node.update_collection(name, body, CHANGE_SECONDS))
        _change_indexes(self._nodes, name, spec.payload_indexes, found.payload_indexes, forget_indexes)
        timeouts = Timeouts(timeout_seconds=access.timeout_seconds, stalled_seconds=access.stalled_seconds)
        move_replicas(self._nodes, name, PlacementSpec(factor=spec.replication_factor), timeouts, self.on_progress)

    def _prepare(self, name: str) -> None:
        """A generation that has all that is declared, but for the points."""
        if _exists(self._nodes, name):
            self._require_fitting(name)
        else:
            self._create(name)
        self._converge(name)

    def _drop_superseded(self) -> None:
        """Take over late writes to the generation before, and drop it when that is confirmed."""
        found = self._generations()
        if found.draining and found.current:
            self._blue_green.finish(found.draining, found.current)
        for name in [] if self.spec.keep_previous else self._generations().previous:
            self.on_progress(f"dropping {name}, which {found.current} has replaced")
            self._drop_everywhere(name)

    def _drop_everywhere(self, name: str) -> None:
        """Return when no node lists it any more: it would be taken for an existing one."""
        self._nodes.with_retries(lambda node: node.delete_collection(name, CHANGE_SECONDS))

        def gone() -> None:
            require(not _exists(self._nodes, name), "one that lists it")

        expected, advice = f"{name} to be gone from every node", "See that it follows the leader (make status)"
        poll(gone, CHANGE_SECONDS, expected=expected, advice=advice, clock=self.access.clock)

    def _observed(self, name: str) -> CollectionSpec:
        if found := next((found for found in self._nodes.answers(lambda node: node.collection(name)) if found), None):
            return as_declared(self.spec, found)
        raise RuntimeError(f"expected a collection {name}, found that it has just gone; run the same command again")


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


def _serve(node: QdrantApi, alias: str, name: str) -> None:
    node.change_aliases([{"create_alias": {"alias_name": alias, "collection_name": name}}])


def _exists(nodes: Nodes, name: str) -> bool:
    return any(name in names for names in nodes.answers(lambda node: node.collections()))


def _incompatibility(name: str, points: list[str]) -> str:
    return (
        f"a collection {name} is already there, serves no alias of ours, and does not fit: {'; '.join(points)}. Change "
        "the stack file to match it, or give the collection another name; nothing was changed"
    )
