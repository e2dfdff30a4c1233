"""Restoring a backup: all is checked before anything is touched; aliases move only when all is verified."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import orjson
from rich.console import Console

from ops.daytwo import progress_bars
from ops.daytwo.manifest import CollectionCopy, Manifest, ShardCopy, digest_of
from ops.daytwo.running import Running, await_true, plainly, spread
from ops.paths import STATE
from ops.stack import OperatorError
from qdrant_admin.api import NodeUnreachable, QdrantError, segment
from qdrant_admin.cluster_view import replicas, shard_keys
from qdrant_admin.collection.config import (
    index_schemas,
    is_custom,
    later_params,
    recreation_body,
    shards_of_keys,
    uncarried,
)
from qdrant_admin.placement.moves import move_replicas
from qdrant_admin.points.equality import fault

VERIFY_SECONDS = 120
FIRST_NAME = re.compile(r"-[0-9a-f]{8}$")  # what is before it
UNTOUCHED = "Its aliases were not touched; look at the nodes' logs, then run the same command again"


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """One collection: what it is restored from, under which name, and where its aliases point when all is verified."""

    copy: CollectionCopy
    folder: Path
    digest: str
    target: str
    aliases: Mapping[str, str | None]

    @property
    def begun(self) -> Path:
        """A file that exists while a restoration is unfinished; holds the digest of its backup."""
        return STATE / "restoring" / segment(self.target)


def plan_restore(
    running: Running, folder: Path, wanted: str | None, *, into: str | None = None, replace: bool = False
) -> list[Restoration]:
    """What would be restored; OperatorError when anything of it cannot be, before anything is touched."""
    manifest = Manifest.read(folder)
    copies = [manifest.collection(wanted)] if wanted else list(manifest.collections)
    if into and len(copies) != 1:
        raise OperatorError(
            f"expected one collection to restore into {into}, found {len(copies)}; name one: COLLECTION="
        )
    broken = [reason for copy in copies for file in copy.files if (reason := file.broken(folder))]
    broken += [f"{copy.name}: {reason}" for copy in copies for reason in uncarried(copy.config, copy.shard_keys)]
    if broken:
        raise OperatorError("\n".join(["the backup is damaged; nothing was touched:", *broken]))
    with plainly("planning the restoration"):
        _refuse_other_minor(manifest.qdrant_version, running.version())
        planned = [_planned(running, copy, folder, into, replace) for copy in copies]
        for restoration in planned:
            _reject_incompatible(running, restoration)
        _reject_duplicates(planned)
    return planned


def _planned(running: Running, copy: CollectionCopy, folder: Path, into: str | None, replace: bool) -> Restoration:
    digest, now = digest_of(folder), running.living()[0].aliases()
    # Named as a generation of the declared collection, so that the next `up` recognises it.
    target = f"{FIRST_NAME.sub('', copy.name)}-{digest[:8]}" if replace else into or copy.name
    moving = {*copy.aliases, *running.aliases_of(copy.name)} if replace else set()
    if replace and not moving:
        raise OperatorError(
            f"expected an alias by which clients call {copy.name}, found none: without one it cannot be replaced "
            "without an empty moment. Use INTO=, and let clients call the new name"
        )
    free = set() if into or replace else {alias for alias in copy.aliases if now.get(alias) in (None, copy.name)}
    aliases = dict.fromkeys(sorted(moving | free), target)
    return Restoration(copy=copy, folder=folder, digest=digest, target=target, aliases=aliases)


def _refuse_other_minor(made_with: str, running: str) -> None:
    if made_with.split(".")[:2] != running.split(".")[:2]:
        raise OperatorError(
            f"expected Qdrant {'.'.join(made_with.split('.')[:2])}.x, which made the backup, found {running}: only the "
            "same minor version takes its snapshots over. Restore with that one, then upgrade minor by minor"
        )


def _reject_incompatible(running: Running, wanted: Restoration) -> None:
    node, factor = running.living()[0], wanted.copy.config["params"]["replication_factor"]
    if factor > len(running.url_of_peer()):
        raise OperatorError(
            f"expected {factor} nodes that answer for {factor} copies of each shard of {wanted.copy.name}, found "
            f"{len(running.url_of_peer())}; start the others first, see make status"
        )
    if taken := sorted(set(wanted.aliases) & {*node.collections(), wanted.target}):
        raise OperatorError(
            f"expected the aliases of {wanted.copy.name} to be free, found a collection called {taken[0]}; nothing was "
            "touched. INTO=name restores beside it, without aliases"
        )
    if wanted.target in node.aliases():
        raise OperatorError(f"expected {wanted.target} to be free, found an alias of that name; name another: INTO=")
    ours = wanted.begun.exists() and wanted.begun.read_text() == wanted.digest
    if node.collection(wanted.target) is not None and not ours:
        raise OperatorError(
            f"expected no collection {wanted.target}, found one; nothing was touched. INTO=name restores beside it, "
            "REPLACE=1 restores beside it and then moves its aliases"
        )


def _reject_duplicates(planned: list[Restoration]) -> None:
    for first, second in combinations(planned, 2):
        if first.target == second.target:
            raise OperatorError(
                f"expected a name for each collection, found {first.target} for {first.copy.name} and "
                f"{second.copy.name}; restore them one by one: COLLECTION=. Nothing was touched"
            )


def restore(running: Running, wanted: Restoration, console: Console) -> str:
    """Restore one collection; returns what was verified. What an interrupted run left is created anew.

    A failure leaves no collection of that name; one that was there before the plan is never touched.
    """
    with plainly(f"restoring {wanted.target}"):
        try:
            return _restored(running, wanted, console)
        except Exception:
            _remove(running, wanted)
            raise


def _restored(running: Running, wanted: Restoration, console: Console) -> str:
    if running.living()[0].collection(wanted.target) is not None and not wanted.begun.exists():
        raise OperatorError(
            f"expected no collection {wanted.target}, found one that was made meanwhile; it was not touched"
        )
    _create(running, wanted)
    _fill(running, wanted, console)
    move_replicas(running.peers(), wanted.target, running.placement_spec(wanted.target), on_progress=console.print)
    verified = _verify(running, wanted)
    running.living()[0].point_aliases(wanted.aliases)
    wanted.begun.unlink()
    return verified


def _remove(running: Running, wanted: Restoration) -> None:
    """What this restoration has made; where no node answers, the next run removes it."""
    if not wanted.begun.exists():
        return
    with suppress(QdrantError, NodeUnreachable, OperatorError):
        if wanted.target not in running.living()[0].aliases().values():
            running.living()[0].delete_collection(wanted.target, 60)
            wanted.begun.unlink()


def _create(running: Running, wanted: Restoration) -> None:
    """The empty collection as it was; no alias serves it yet."""
    node, config = running.living()[0], wanted.copy.config
    wanted.begun.parent.mkdir(parents=True, exist_ok=True)
    wanted.begun.write_text(wanted.digest)
    if node.collection(wanted.target) is not None:
        node.delete_collection(wanted.target, 60)
    node.create_collection(wanted.target, recreation_body(config), 60)
    factor = config["params"]["replication_factor"]
    for key, shards in shards_of_keys(wanted.copy.shard_keys).items() if is_custom(config) else ():
        node.create_shard_key(wanted.target, key, len(shards), factor)
    if later := later_params(config):
        node.update_collection(wanted.target, {"params": later}, 60)
    for field, schema in index_schemas(wanted.copy.payload_schema).items():
        node.create_index(wanted.target, field, schema, 60)


def _fill(running: Running, wanted: Restoration, console: Console) -> None:
    """Upload each shard to one of its holders, to all nodes at once; Qdrant copies it to the other replicas."""
    numbers = _numbers(running, wanted)
    holders = spread(running.holders(wanted.target))
    with progress_bars.of_bytes(console) as bar, ThreadPoolExecutor(max_workers=len(running.node_urls)) as pool:

        def send(shard: ShardCopy) -> None:
            task = bar.add_task(f"{wanted.target}, shard {shard.shard}", total=shard.snapshot.size_bytes)
            number = numbers[shard.shard]
            node, file = running.snapshots(holders[number]), wanted.folder / shard.snapshot.path
            node.upload(wanted.target, number, file, shard.snapshot.sha256, partial(bar.advance, task))

        list(pool.map(send, wanted.copy.shards))


def _numbers(running: Running, wanted: Restoration) -> dict[int, int]:
    """Shard of the backup -> shard of the target: those of the same key, in their order."""
    there = shards_of_keys(shard_keys(running.living()[0].collection_cluster(wanted.target)))
    here = shards_of_keys(wanted.copy.shard_keys)
    if {key: len(shards) for key, shards in here.items()} != {key: len(shards) for key, shards in there.items()}:
        raise OperatorError(
            f"expected the shards {here} in {wanted.target}, by their keys, found {there}; run the same command again"
        )
    return {old: new for key, shards in here.items() for old, new in zip(shards, there[key], strict=True)}


def _verify(running: Running, wanted: Restoration) -> str:
    """Counts of every replica of every shard, the exact count, and the sample as each node has it."""
    copy, numbers = wanted.copy, _numbers(running, wanted)
    expected = {numbers[shard.shard]: shard.points for shard in copy.shards}

    def wrong() -> list[str]:
        found = [
            f"shard {shard} has {points} points on {url}, not {expected[shard]}"
            for url, counts in _counts(running, wanted.target).items()
            for shard, points in counts.items()
            if points not in expected[shard]
        ]
        return found + [
            f"{node.url} counts {points}, not {copy.points}"
            for node in running.living()
            if (points := node.points(wanted.target).count()) not in copy.points
        ]

    await_true(wrong, f"{copy.points} points in {wanted.target}", VERIFY_SECONDS, UNTOUCHED, running.clock)
    sample = orjson.loads((wanted.folder / copy.sample.path).read_bytes())
    for node in running.living():
        found = node.points(wanted.target).retrieve([point["id"] for point in sample])
        if bad := [point["id"] for point in sample if fault(point, found.get(point["id"]))]:
            raise OperatorError(
                f"expected the {len(sample)} sampled points in {wanted.target} as they were, found {len(bad)} missing "
                f"or changed when asked through {node.url}, such as {bad[0]}; its aliases were not touched"
            )
    copies = sum(len(states) for states in replicas(running.living()[0].collection_cluster(wanted.target)).values())
    return (
        f"{wanted.target}: {copy.points} points in {len(expected)} shards, {copies} Active copies; the count of each "
        f"and {len(sample)} sampled points through each node are as they were. "
        f"Aliases: {', '.join(wanted.aliases) or 'none'}"
    )


def _counts(running: Running, name: str) -> dict[str, dict[int, int]]:
    views = {node.url: node.collection_cluster(name) for node in running.living()}
    return {
        url: {shard["shard_id"]: shard["points_count"] for shard in view["local_shards"]} for url, view in views.items()
    }
