"""Another collection behind the same alias, filled and compared before a client reads from it.

Interrupted anywhere, the next run continues: the successor's name follows from what is declared, what it has already is
not written again, and the generation being drained is marked by an alias in the very request that switches.
"""

from collections.abc import Callable
from dataclasses import dataclass

from access.polling import poll, require
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.collection.config import as_declared
from qdrant_admin.collection.generations import draining_alias, successor, switch
from qdrant_admin.collection.reindexing import ReindexClient, Reindexed
from qdrant_admin.collection.spec import CollectionSpec
from qdrant_admin.points.client import Point
from qdrant_admin.points.draining import Baseline, drain, unproven
from qdrant_admin.points.synchronisation import Copied, Fill, Route, copy_missing, synchronise
from qdrant_admin.progress import ProgressCallback

PASSES = 5  # at most: under writers there is always one point more, and the passes after the switch copy it
FEW = 256  # points that a pass may find different before the switch
PROGRESS_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class BlueGreen:
    """The replacement of one generation of a collection by another."""

    spec: CollectionSpec
    access: ClusterAccess
    on_progress: ProgressCallback

    def replace(self, current: str, prepare: Callable[[str], None]) -> str:
        """The successor, served by the alias and with all that `current` had; RuntimeError before it is created."""
        alias, target = self.spec.alias, successor(self.spec)
        route = self._route(current, target)
        how = f"{target} is created beside it, its points are {route.fill.description}"
        self.on_progress(f"{current} cannot be changed in place: {how}")
        prepare(target)
        synchronise(route, self._reporting(target))
        self._await_indexed(target)
        baseline = _catch_up(route)
        if reasons := unproven(route, baseline):
            raise RuntimeError(
                f"expected {target} to have what {current} has, found: {'; '.join(reasons)}. {alias} still "
                f"serves {current}; run the same command again, it continues from here"
            )
        self.access.peers().with_retries(lambda node: node.change_aliases(switch(alias, current, target)))
        self._await_served(target)
        self.on_progress(f"{alias} serves {target}; taking over late writes to {current}")
        for _ in range(PASSES):
            late, baseline = drain(route, baseline)
            if not late:
                break
        self._unmark()
        return target

    def finish(self, draining: str, current: str) -> None:
        """After a run that was interrupted behind its switch: points that only the generation before has are copied.

        What was changed at that moment and not added stays as it is here, and what was deleted here since comes back:
        the baseline that would tell which of two versions is the later one ended with that run.
        """
        copied = copy_missing(self._route(draining, current))
        self.on_progress(f"{current}: {copied} points copied from {draining}, which an interrupted run was draining")
        self._unmark()

    def _route(self, source: str, target: str) -> Route:
        """How the target is filled; RuntimeError when new vectors are needed and cannot be made in that size."""
        spec, access = self.spec, self.access
        found = access.peers().with_retries(lambda node: node.collection(source))
        if found is None:
            raise RuntimeError(f"expected a collection {source}, found none; run the same command again")
        old, points = as_declared(spec, found), access.points(target)
        fill: Fill
        if vectors_stay(spec, old):
            # One writer: clients are served meanwhile.
            fill = Copied(points, writers=1, normalised=spec.distance == "Cosine" != old.distance)
        else:
            fill = Reindexed(self._ingest(), source, target)
        return Route(source=access.points(source), target=points, fill=fill)

    def _ingest(self) -> ReindexClient:
        spec, access = self.spec, self.access
        if not access.ingest_url:
            raise RuntimeError(
                f"expected the ingest role, which makes vectors of another kind for {spec.name}, found no address of "
                "it; for a collection of your own declare another one, fill it with your writer, and then let clients "
                "use its alias; nothing was changed"
            )
        client = ReindexClient(access.ingest_url, access.ingest_token, access.embedder)
        if (size := client.vector_size()) != spec.vector_size:
            raise RuntimeError(
                f"expected an embedder that makes vectors of {spec.vector_size} dimensions, found "
                f"{access.embedder}, which makes {size}; set collectionVectorSize to {size}, or ragEmbedder to "
                "one that makes them; nothing was changed"
            )
        return client

    def _reporting(self, target: str) -> Callable[[Point], None]:
        """Reports every few seconds how many points were compared."""
        now = self.access.clock.now
        compared, reported_at = 0, now()

        def on_point(_: Point) -> None:
            nonlocal compared, reported_at
            compared += 1
            if now() - reported_at > PROGRESS_SECONDS:
                reported_at = now()
                self.on_progress(f"{target}: {compared} points compared")

        return on_point

    def _await_indexed(self, name: str) -> None:
        """Return when the successor answers as fast as it ever will: green, everything indexed."""

        def green() -> None:
            found = self.access.peers().with_retries(lambda node: node.collection(name))
            status = found["status"] if found else "no collection"
            require(status == "green", status)

        self._await(green, f"{name} to be indexed (green)")

    def _await_served(self, target: str) -> None:
        """Return when no node that answers sends a write to the generation before any more."""
        alias = self.spec.alias

        def served() -> None:
            found = {aliases.get(alias) for aliases in self.access.peers().answers(lambda node: node.aliases())}
            require(found == {target}, ", ".join(sorted(map(str, found))))

        self._await(served, f"every node to serve {target} as {alias}")

    def _await(self, probe: Callable[[], None], expected: str) -> None:
        access, advice = self.access, f"{self.spec.alias} still serves clients. Run the same command again"
        poll(probe, access.timeout_seconds, expected=expected, advice=advice, clock=access.clock)

    def _unmark(self) -> None:
        nodes, marker = self.access.peers(), draining_alias(self.spec.alias)
        if marker in nodes.with_retries(lambda node: node.aliases()):
            nodes.with_retries(lambda node: node.change_aliases([{"delete_alias": {"alias_name": marker}}]))


def vectors_stay(spec: CollectionSpec, source: CollectionSpec) -> bool:
    """Whether stored vectors mean the same in the successor: with Cosine, Qdrant keeps them without their length."""
    kept_alike = all(spec.layout.get(key) == found for key, found in source.layout.items() if key != "sharding_method")
    same_size = kept_alike and spec.vector_size == source.vector_size
    return same_size and (spec.distance == source.distance or source.distance != "Cosine")


def _catch_up(route: Route) -> Baseline:
    """Passes until one finds few points different, or often enough; the points as the last one has copied them."""
    baseline = Baseline()
    for _ in range(PASSES):
        baseline = Baseline()
        if synchronise(route, baseline.add).changed <= FEW:
            break
    return baseline
