"""Taking a backup: a snapshot of every shard from one of its replicas, and the manifest when all are downloaded."""

import datetime
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shutil import disk_usage

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ops.daytwo import progress_bars
from ops.daytwo.manifest import MANIFEST, CollectionCopy, File, Manifest, Range, ShardCopy
from ops.daytwo.running import Running, plainly, spread
from ops.stack import OperatorError
from qdrant_admin.api import NodeUnreachable, QdrantError, segment
from qdrant_admin.cluster_view import shard_keys
from qdrant_admin.collection.config import uncarried
from qdrant_admin.points.client import Point, Points
from qdrant_admin.points.equality import fault

SAMPLED = 128  # points of each collection, kept as JSON, to be compared after a restore


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Collection -> shard -> the node that its snapshot is taken from."""

    sources: dict[str, dict[int, str]]

    def table(self) -> Table:
        table = Table("collection", "shard", "from", title="Snapshots to take")
        for name, shards in self.sources.items():
            for shard, url in shards.items():
                table.add_row(escape(name), str(shard), url)
        return table


def plan_backup(running: Running, wanted: Sequence[str]) -> Plan:
    """Which snapshots a backup of these collections, or of all, would take; OperatorError when one cannot be taken."""
    with plainly("planning the backup"):
        known = sorted(running.living()[0].collections())
        if unknown := sorted(set(wanted) - set(known)):
            raise OperatorError(f"expected one of the collections {', '.join(known)}, found {', '.join(unknown)}")
        chosen = list(wanted or known)
        if reasons := [reason for name in chosen for reason in _uncarried(running, name)]:
            raise OperatorError(
                "\n".join(
                    ["a backup could not carry all of this; none was taken:", *reasons, "name others: COLLECTION="]
                )
            )
        return Plan(sources={name: spread(running.holders(name)) for name in chosen})


def _uncarried(running: Running, name: str) -> list[str]:
    """What of a collection a restore could not make again, each with the reason."""
    node = running.living()[0]
    try:
        found, view = node.collection(name), node.collection_cluster(name)
    except QdrantError as error:
        return [f"{name}: expected a collection that can be read, found {error}"]
    if found is None:
        return [f"{name}: expected a collection, found that it was deleted meanwhile"]
    reasons = uncarried(found["config"], shard_keys(view))
    if view.get("resharding_operations"):
        reasons.append("expected shards that stay as they are, found resharding under way; wait until it has ended")
    return [f"{name}: {reason}" for reason in reasons]


def back_up(running: Running, plan: Plan, folder: Path, console: Console) -> Manifest:
    """Take the backup into a folder that holds no complete one; what an interrupted run left there is taken again."""
    if (folder / MANIFEST).exists():
        raise OperatorError(f"expected a folder without a backup, found a whole one in {folder}; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    version = running.version()
    with plainly("the backup"), progress_bars.of_bytes(console) as bar:
        taker = _Taker(running, folder, bar)
        copies = [taker.take(name, shards) for name, shards in plan.sources.items()]
    made_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = Manifest(made_at=made_at, qdrant_version=version, collections=tuple(copies))
    manifest.write(folder)
    return manifest


class _Taker:
    """Takes the copies of one backup."""

    def __init__(self, running: Running, folder: Path, bar: Progress) -> None:
        self._running, self._folder, self._bar = running, folder, bar

    def take(self, name: str, shards: dict[int, str]) -> CollectionCopy:
        node = self._running.living()[0]
        found = node.collection(name)
        if found is None:
            raise OperatorError(f"expected collection {name}, found that it was deleted meanwhile; take another backup")
        keys = shard_keys(node.collection_cluster(name))
        if keys.keys() != shards.keys() or (reasons := uncarried(found["config"], keys)):
            raise OperatorError(
                f"expected {name} as it was planned, found other shards: {reasons or sorted(keys)}; take another backup"
            )
        (self._folder / segment(name)).mkdir(exist_ok=True)
        points = node.points(name)
        before, early = points.count(), list(islice(points, SAMPLED))
        copies = [self._shard(name, shard, keys[shard], url) for shard, url in shards.items()]
        return CollectionCopy(
            name=name,
            config=found["config"],
            payload_schema=found["payload_schema"],
            aliases=tuple(self._running.aliases_of(name)),
            points=Range.of(before, points.count()),
            shards=tuple(copies),
            sample=self._sample(points, early),
        )

    def _shard(self, name: str, shard: int, key: str | int | None, url: str) -> ShardCopy:
        """Created on the node, downloaded, compared with the node's checksum, and removed there in any case."""
        node, file = self._running.snapshots(url), self._folder / segment(name) / f"shard-{shard}.snapshot"
        before = _points_of(node.collection_cluster(name), shard)
        task = self._bar.add_task(f"{name}, shard {shard}", total=None)
        made = node.create_shard_snapshot(name, shard)
        try:
            self._bar.update(task, total=made["size"])
            if (free := disk_usage(self._folder).free) < made["size"]:
                raise OperatorError(
                    f"shard {shard} of {name}: expected {made['size']} bytes free for its snapshot in {self._folder}, "
                    f"found {free}; free some, or name another folder"
                )
            found = node.download(name, shard, made["name"], file, lambda size: self._bar.advance(task, size))
        finally:
            with suppress(QdrantError, NodeUnreachable):  # what matters is the error that led here
                node.delete_shard_snapshot(name, shard, made["name"])
        if made.get("checksum") and found != made["checksum"]:
            raise OperatorError(
                f"shard {shard} of {name}: expected SHA-256 {made['checksum']} of its snapshot, found {found}; "
                "it was damaged on its way: take another backup"
            )
        after = _points_of(node.collection_cluster(name), shard)
        return ShardCopy(shard=shard, key=key, points=Range.of(before, after), snapshot=File.of(self._folder, file))

    def _sample(self, points: Points, early: list[Point]) -> File:
        """The first points in the order of ids, across shards, that did not change while the backup was taken."""
        late = points.retrieve([point["id"] for point in early])
        file = self._folder / segment(points.name) / "sample.json"
        file.write_bytes(orjson.dumps([point for point in early if not fault(point, late.get(point["id"]))]))
        return File.of(self._folder, file)


def _points_of(view: dict[str, object], shard: int) -> int:
    local = view["local_shards"]
    assert isinstance(local, list)
    return next(int(found["points_count"]) for found in local if found["shard_id"] == shard)


def summary(manifest: Manifest, folder: Path, seconds: float) -> str:
    """One line for each collection, and the rate."""
    lines = [
        f"{copy.name}: {copy.points} points in {len(copy.shards)} shards, aliases: {', '.join(copy.aliases) or 'none'}"
        for copy in manifest.collections
    ]
    size = sum(file.size_bytes for copy in manifest.collections for file in copy.files)
    rate = size / seconds / 1e6 if seconds else 0
    lines.append(
        f"Backup in {folder}: {size / 1e6:.1f} MB in {seconds:.1f} s ({rate:.1f} MB/s); "
        f"every file's SHA-256 is in {MANIFEST}. It is not encrypted: keep it where the data may be."
    )
    return "\n".join(lines)
