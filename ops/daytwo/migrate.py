"""Moving a collection from one Qdrant into the cluster: copied until both are the same, then cut over by alias."""

import hashlib
import time
from dataclasses import dataclass

from rich.console import Console

from ops.daytwo import progress_bars
from ops.daytwo.journal import Journal
from ops.daytwo.running import Running, plainly
from ops.stack import OperatorError
from qdrant_admin.collection.recreation import creation_body, indexes
from qdrant_admin.collection.settings import CollectionSettings
from qdrant_admin.points.client import Id, NodePoints
from qdrant_admin.points.equality import TOLERANCE
from qdrant_admin.points.synchronisation import Pass, Route, left_behind, mend
from qdrant_admin.snapshots import SnapshotApi

FOLLOW_SECONDS = 600  # how long the source may go on changing after it has been copied once


@dataclass(frozen=True, kw_only=True)
class Migration:
    """From where to where, checked."""

    source: NodePoints
    journal: Journal
    config: dict[str, object]
    payload_schema: dict[str, object]
    points: int
    body: dict[str, object]  # what makes the target

    def lines(self) -> list[str]:
        journal = self.journal
        return [
            f"snapshot of {journal.source} on {journal.source_url}" + (", made already" if journal.snapshot else ""),
            f"make {journal.target}: {self.body['shard_number']} shards, each {self.body['replication_factor']} times",
            f"copy {self.points} points, then again what was written meanwhile, until a pass finds nothing",
            f"compare counts, and every point within {TOLERANCE:g} of its vector's largest component",
            f"alias {journal.alias}: from {journal.before or 'nothing'} to {journal.target}, in one call",
        ]


def plan_migration(
    running: Running, source: NodePoints, name: str, declared: CollectionSettings, *, target: str
) -> Migration:
    """What would be done; OperatorError when it cannot be, before anything is touched."""
    with plainly("planning the migration"):
        found = source.collection(name)
        if found is None:
            raise OperatorError(
                f"expected a collection {name} on {source.url}, found {', '.join(source.collections()) or 'none'}; "
                "name one with --collection"
            )
        _refuse_other_vectors(found["config"]["params"]["vectors"], declared)
        journal = _journal(running, source, name, declared.alias, target)
        return Migration(
            source=source,
            journal=journal,
            config=found["config"],
            payload_schema=found["payload_schema"],
            points=source.count(name),
            body=creation_body(
                found["config"],
                shard_number=declared.shard_number,
                replication_factor=declared.replication_factor,
                write_consistency_factor=declared.write_consistency_factor,
            ),
        )


def target_name(declared: CollectionSettings, source: NodePoints, name: str) -> str:
    """As a generation of the declared collection is named, so that the next `up` knows whose it is."""
    origin = hashlib.blake2b(f"{source.url}/{name}".encode(), digest_size=4).hexdigest()
    return f"{declared.name}-{origin}"


def _refuse_other_vectors(vectors: dict[str, object], declared: CollectionSettings) -> None:
    found, wanted = (vectors.get("size"), vectors.get("distance")), (declared.vector_size, declared.distance)
    if found != wanted:
        raise OperatorError(
            f"expected vectors of {wanted[0]} dimensions and distance {wanted[1]}, as the stack searches with, found "
            f"{found[0]} and {found[1]}: copies of them could not be searched. --reindex embeds the texts anew"
        )


def _journal(running: Running, source: NodePoints, name: str, alias: str, target: str) -> Journal:
    """That of the run that was interrupted, or a new one; OperatorError when the target is somebody else's."""
    node, earlier = running.living()[0], Journal.read(alias)
    if alias in node.collections():
        raise OperatorError(f"expected {alias} to be an alias, found a collection of that name; it cannot be cut over")
    before = node.aliases().get(alias)
    if before == target:  # what is written to it now would be taken for what the source has deleted
        raise OperatorError(
            f"expected {alias} to mean another collection, found {target}: it has been cut over already"
        )
    ours = earlier and (earlier.source_url, earlier.source, earlier.target) == (source.url, name, target)
    if earlier and ours and not earlier.cut_over:
        earlier.before = before
        return earlier
    if target in node.collections():
        raise OperatorError(
            f"expected no collection {target}, found one that this migration did not begin, or one that was cut over "
            "to and rolled back from; nothing was touched. Name another with --into"
        )
    return Journal(source_url=source.url, source=name, target=target, alias=alias, before=before)


def migrate(running: Running, planned: Migration, api_key: str, console: Console) -> str:
    """Copy, compare, cut over; says what was verified. Interrupted, the same again goes on."""
    journal = planned.journal
    with plainly("the migration"):
        if not journal.snapshot:
            made = SnapshotApi(journal.source_url, api_key).create_collection_snapshot(journal.source)
            journal.snapshot = str(made["name"])
        journal.write()
        _make_target(running, planned)
        route = Route(
            source=planned.source, source_name=journal.source, nodes=running.living(), target_name=journal.target
        )
        verified = _same(route, _follow(route, console))
        running.living()[0].point_aliases({journal.alias: journal.target})
        journal.cut_over = True
        journal.write()
        return f"{verified}\n{_cut_over(journal, left_behind(route))}"


def _make_target(running: Running, planned: Migration) -> None:
    node, target = running.living()[0], planned.journal.target
    if node.collection(target) is None:
        node.create_collection(target, planned.body, 60)
    for field, schema in indexes(planned.payload_schema).items():
        node.create_index(target, field, schema, 60)


def _follow(route: Route, console: Console) -> Pass:
    """Pass after pass, until one has nothing to mend: the source rests, and the target is like it."""
    deadline: float | None = None
    while True:
        done = _shown(route, console)
        if not done.mended:
            return done
        console.print(f"{done.source.points} points read: {done.written} written, {done.removed} removed")
        deadline = deadline or time.monotonic() + FOLLOW_SECONDS
        if time.monotonic() > deadline:
            raise OperatorError(
                f"expected {route.source_name} to come to rest, found {done.mended} points changed in the last pass. "
                "Nothing was cut over; stop what writes to the source, then run the same command again"
            )


def _shown(route: Route, console: Console) -> Pass:
    with progress_bars.of_points(console) as bar:
        task = bar.add_task("points of the source read", total=route.source.count(route.source_name))
        return mend(route, lambda _: bar.advance(task))


def _same(route: Route, last: Pass) -> str:
    """The exact counts from every node against the source's; what the last pass compared, in words."""
    expected = route.source.count(route.source_name)
    counts = {node.url: node.count(route.target_name) for node in route.nodes}
    if {expected, last.source.points, last.target.points} != set(counts.values()):
        raise OperatorError(
            f"expected {expected} points, found {', '.join(f'{n} on {url}' for url, n in counts.items())}. "
            "Nothing was cut over; if the source is still written to, stop that, then run the same command again"
        )
    exact = str(last.source) == str(last.target)
    how = f"the same bit for bit, checksum {last.source}" if exact else f"the same within {TOLERANCE:g} (rounding)"
    return f"{expected} points in the source and through each of {len(counts)} nodes, {how}"


def _cut_over(journal: Journal, late: list[Id]) -> str:
    lines = [f"alias {journal.alias} means {journal.target} now, and meant {journal.before or 'nothing'} before"]
    if late:
        lines.append(
            f"{len(late)} points came to the source after the last comparison, such as {late[0]}, and are not in the "
            "cluster: write them there again, and stop what still writes to the source"
        )
    lines.append(f"the source was not changed; its snapshot there: {journal.snapshot}. The way back: --rollback")
    return "\n".join(lines)


def roll_back(running: Running, alias: str) -> str:
    """Let the alias mean again what it meant before the last migration; OperatorError when there is no way back."""
    journal = Journal.read(alias)
    with plainly("going back"):
        node = running.living()[0]
        meant = node.aliases().get(alias)
        if journal is None or meant != journal.target:
            raise OperatorError(
                f"expected {alias} to mean what a migration from this checkout made of it, found {meant or 'nothing'}; "
                "there is nothing to go back from"
            )
        if journal.before is not None and journal.before not in node.collections():
            raise OperatorError(f"expected {journal.before}, which {alias} meant before, found that it was deleted")
        journal.cut_over = True
        journal.write()
        node.point_aliases({alias: journal.before})
    return (
        f"alias {alias} means {journal.before or 'nothing'} again. What was written since the cut-over is in "
        f"{journal.target} only, which stays; the source {journal.source_url} was not changed"
    )
