"""Moving a collection from one Qdrant into the cluster: copied until both are equal, then cut over by alias."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from rich.console import Console

from access.polling import Clock, NotYet, poll, require
from ops.daytwo import progress_bars
from ops.daytwo.journal import Journal
from ops.daytwo.running import Running, plainly
from ops.stack import OperatorError
from qdrant_admin.collection.config import as_declared, incompatibilities, index_schemas, recreation_body
from qdrant_admin.collection.settings import CollectionSettings
from qdrant_admin.collection.spec import CollectionSpec
from qdrant_admin.nodes import Nodes
from qdrant_admin.points.client import Id, NodePoints, Points
from qdrant_admin.points.equality import TOLERANCE
from qdrant_admin.points.synchronisation import Copied, Pass, Route, missing, synchronise
from qdrant_admin.snapshots import SnapshotApi

SAMPLED = 256  # points whose payloads are looked at before the copy
FOLLOW_SECONDS = 600  # how long the source may go on changing after it has been copied once


@dataclass(frozen=True, kw_only=True)
class Migration:
    """The checked plan of one migration."""

    source: NodePoints
    journal: Journal
    config: dict[str, object]
    payload_schema: dict[str, object]
    points: int
    body: dict[str, object]  # of the request that creates the target

    def lines(self) -> list[str]:
        journal = self.journal
        return [
            f"snapshot of {journal.source} on {journal.source_url}" + (", taken already" if journal.snapshot else ""),
            f"create {journal.target}: {self.body['shard_number']} shards, factor {self.body['replication_factor']}",
            f"copy {self.points} points, then again what was written meanwhile, until a pass finds nothing",
            f"compare counts, and every point within {TOLERANCE:g} of its vector's largest component",
            f"alias {journal.alias}: from {journal.before or 'nothing'} to {journal.target}, in one call",
        ]


def plan_migration(
    running: Running,
    source: NodePoints,
    name: str,
    declared: CollectionSettings,
    *,
    target: str,
    read_by_the_service: bool = True,
) -> Migration:
    """What would be done; OperatorError when it cannot be, before anything is touched.

    What the reference service reads must have payloads that it understands.
    """
    with plainly("planning the migration"):
        found = source.collection(name)
        if found is None:
            raise OperatorError(
                f"expected a collection {name} on {source.url}, found {', '.join(source.collections()) or 'none'}; "
                "name one with COLLECTION="
            )
        _refuse_other_vectors(found, declared)
        if read_by_the_service:
            _refuse_unreadable(source.points(name))
        journal = _journal(running, source, name, declared.alias, target)
        return Migration(
            source=source,
            journal=journal,
            config=found["config"],
            payload_schema=found["payload_schema"],
            points=source.points(name).count(),
            body=recreation_body(
                found["config"],
                shard_number=declared.shard_number,
                replication_factor=declared.replication_factor,
                write_consistency_factor=declared.write_consistency_factor,
            ),
        )


def target_name(declared: CollectionSettings, source: NodePoints, name: str) -> str:
    """Named as a generation of the declared collection, so that the next `up` recognises it."""
    origin = hashlib.blake2b(f"{source.url}/{name}".encode(), digest_size=4).hexdigest()
    return f"{declared.name}-{origin}"


def _refuse_other_vectors(found: dict[str, Any], declared: CollectionSettings) -> None:
    """Fit is judged as at an adoption, but for the shards: the copy has those that are declared."""
    shards = found["config"]["params"]["shard_number"]
    spec = replace(CollectionSpec.from_props(declared.declared()), shard_number=shards)
    if wrong := incompatibilities(spec, as_declared(spec, found)):
        raise OperatorError(
            f"expected vectors as the stack searches with, found others ({'; '.join(wrong)}): copies of them could not "
            "be searched. REINDEX=1 embeds the texts anew"
        )


def _refuse_unreadable(points: Points) -> None:
    """The payloads of the first points, as the reference service would read them."""
    for point in islice(points.scan(with_vector=False), SAMPLED):
        payload = point.get("payload") or {}
        if missing := [key for key in ("text", "source") if not isinstance(payload.get(key), str)]:
            raise OperatorError(
                f"expected payloads with a text under text and source, found point {point['id']} with "
                f"{', '.join(payload) or 'nothing'} and no {' and '.join(missing)}: searches would show empty "
                "passages. REINDEX=1 reads what LangChain and LlamaIndex write, or names its own key with TEXT_KEY="
            )


def _journal(running: Running, source: NodePoints, name: str, alias: str, target: str) -> Journal:
    """That of the run that was interrupted, or a new one; OperatorError when another one created the target."""
    node, earlier = running.living()[0], Journal.read(alias)
    if alias in node.collections():
        raise OperatorError(f"expected {alias} to be an alias, found a collection of that name; it cannot be cut over")
    before = node.aliases().get(alias)
    if before == target:  # what is written to it now would be taken for what the source has deleted
        raise OperatorError(
            f"expected {alias} to serve another collection, found {target}: it has been cut over already"
        )
    ours = earlier and (earlier.source_url, earlier.source, earlier.target) == (source.url, name, target)
    if earlier and ours and not earlier.cut_over:
        earlier.before = before
        return earlier
    if target in node.collections():
        raise OperatorError(
            f"expected no collection {target}, found one that this migration did not begin, or one that was cut over "
            "to and rolled back from; nothing was touched. Name another with INTO="
        )
    return Journal(source_url=source.url, source=name, target=target, alias=alias, before=before)


def migrate(running: Running, planned: Migration, api_key: str, console: Console) -> str:
    """Copy, compare, cut over; returns what was verified. Interrupted, the same command continues."""
    journal = planned.journal
    with plainly("the migration"):
        if not journal.snapshot:
            made = SnapshotApi(journal.source_url, api_key).create_collection_snapshot(journal.source)
            journal.snapshot = str(made["name"])
        journal.write()
        _create_target(running, planned)
        living = running.living()
        target = Points(Nodes(living, running.clock), journal.target)
        route = Route(source=planned.source.points(journal.source, running.clock), target=target, fill=Copied(target))
        verified = _same(living, route, _follow(route, running.clock, console))
        living[0].point_aliases({journal.alias: journal.target})
        journal.cut_over = True
        journal.write()
        return f"{verified}\n{_cut_over(journal, [each.id for each in missing(route)])}"


def _create_target(running: Running, planned: Migration) -> None:
    node, target = running.living()[0], planned.journal.target
    if node.collection(target) is None:
        node.create_collection(target, planned.body, 60)
    for field, schema in index_schemas(planned.payload_schema).items():
        node.create_index(target, field, schema, 60)


def _follow(route: Route, clock: Clock, console: Console) -> Pass:
    """Pass after pass, until one has nothing to write: the source rests, and the target is equal to it."""

    def at_rest() -> Pass:
        done = _shown(route, console)
        if done.changed:
            console.print(f"{done.source.points} points read: {done.written} written, {done.removed} removed")
        require(not done.changed, f"{done.changed} points changed in the last pass")
        return done

    try:
        return at_rest()
    except NotYet:  # it has been copied once, however long that took
        expected = f"{route.source.name} to come to rest"
        advice = "Nothing was cut over; stop what writes to the source, then run the same command again"
        return poll(at_rest, FOLLOW_SECONDS, expected=expected, advice=advice, clock=clock)


def _shown(route: Route, console: Console) -> Pass:
    with progress_bars.of_points(console) as bar:
        task = bar.add_task("points of the source read", total=route.source.count())
        return synchronise(route, lambda _: bar.advance(task))


def _same(nodes: Sequence[NodePoints], route: Route, last: Pass) -> str:
    """The exact counts from every node against the source's; what the last pass compared, in words."""
    expected = route.source.count()
    counts = {node.url: node.points(route.target.name).count() for node in nodes}
    if {expected, last.source.points, last.target.points} != set(counts.values()):
        raise OperatorError(
            f"expected {expected} points, found {', '.join(f'{n} on {url}' for url, n in counts.items())}. "
            "Nothing was cut over; if the source is still written to, stop that, then run the same command again"
        )
    exact = str(last.source) == str(last.target)
    how = f"the same bit for bit, checksum {last.source}" if exact else f"the same within {TOLERANCE:g} (rounding)"
    return f"{expected} points in the source and through each of {len(counts)} nodes, {how}"


def _cut_over(journal: Journal, late: list[Id]) -> str:
    lines = [f"alias {journal.alias} serves {journal.target} now, and served {journal.before or 'nothing'} before"]
    if late:
        lines.append(
            f"{len(late)} points came to the source after the last comparison, such as {late[0]}, and are not in the "
            "cluster: write them there again, and stop what still writes to the source"
        )
    lines.append(f"the source was not changed; its snapshot there: {journal.snapshot}. The way back: ROLLBACK=1")
    return "\n".join(lines)


def roll_back(running: Running, alias: str) -> str:
    """Let the alias serve again what it served before the last migration; OperatorError when there is no way back."""
    journal = Journal.read(alias)
    with plainly("rolling back"):
        node = running.living()[0]
        served = node.aliases().get(alias)
        if journal is None or served != journal.target:
            raise OperatorError(
                f"expected {alias} to serve what a migration from this checkout copied, found {served or 'nothing'}; "
                "there is nothing to roll back from"
            )
        if journal.before is not None and journal.before not in node.collections():
            raise OperatorError(f"expected {journal.before}, which {alias} served before, found that it was deleted")
        journal.cut_over = True
        journal.write()
        node.point_aliases({alias: journal.before})
    return (
        f"alias {alias} serves {journal.before or 'nothing'} again. What was written since the cut-over is in "
        f"{journal.target} only, which stays; the source {journal.source_url} was not changed"
    )
