"""Reconciles a node's replicas with the metadata: opened, recovered when dead, transferred, deleted."""

import asyncio
import shutil
import time
from collections.abc import Coroutine
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from sandbox.qdrant.metadata import Collection, Transfer
from sandbox.qdrant.node import Node
from sandbox.qdrant.shards import Shard
from sandbox.qdrant.wire import ServiceError

BATCH, LOOK_SECONDS, FLUSH_SECONDS, READY_SECONDS = 100, 0.5, 60.0, 0.5


class Caretaker:
    """Reconciles this node's replicas after every change of the metadata, and twice a second."""

    def __init__(self, node: Node, storage: Path, joined: bool) -> None:
        self._node, self._raft, self._storage, self._joined = node, node.raft, storage / "collections", joined
        self._doing: dict[Any, asyncio.Task[None]] = {}
        self._ready, self._goal = False, -1
        self._unhealthy: set[tuple[str, int]] | None = None

    async def run(self) -> None:
        while True:
            self._once("care", self._care())
            await self._raft.news(LOOK_SECONDS)

    async def flush(self) -> None:
        """Keeps the logs of the shards short."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            for shard in list(self._node.shards.values()):
                with suppress(Exception):  # it may have been dropped meanwhile
                    await asyncio.to_thread(shard.flush)

    def stop(self) -> None:
        for task in self._doing.values():
            task.cancel()

    def _once(self, key: Any, work: Coroutine[Any, Any, None]) -> None:
        if key in self._doing:
            work.close()
        else:
            self._doing[key] = asyncio.create_task(work)
            self._doing[key].add_done_callback(lambda _: self._doing.pop(key))

    async def _propose(self, do: str, **arguments: Any) -> None:
        with suppress(ServiceError):  # refused, or no majority: the next round decides again
            await self._raft.propose(do, **arguments)

    async def _care(self) -> None:
        collections, me = list(self._node.metadata.collections.values()), self._raft.me
        transfers = [(collection, transfer) for collection in collections for transfer in collection.transfers]
        for collection, transfer in transfers:
            self._continue(collection, transfer)
        for collection in collections:
            for shard, state in collection.held_by(me).items():
                self._open(collection, shard)
                if state == "Initializing":  # nothing was written yet that it could lack
                    mine = {"name": collection.name, "shard": shard, "peer": me, "state": "Active"}
                    self._once((collection.uid, shard), self._propose("replica", **mine))
                elif state == "Dead" and not any(transfer.target == me for _, transfer in transfers):
                    self._once("recovery", self._recover(collection, shard))
        self._delete_all_but({(c.uid, shard) for c in collections for shard in c.held_by(me)})

    def _open(self, collection: Collection, shard: int) -> None:
        key = collection.uid, shard
        if key not in self._node.shards:
            folder = self._storage / collection.uid / str(shard)
            self._node.shards[key] = Shard(folder, collection.params)
        self._node.shards[key].index(collection.indexes)

    def _delete_all_but(self, mine: set[tuple[str, int]]) -> None:
        for folder in self._storage.glob("*/*"):
            key = folder.parent.name, int(folder.name)
            if key not in mine:
                if key in self._node.shards:
                    self._node.shards.pop(key).close()
                shutil.rmtree(folder)

    def _is_silent(self, peer: int) -> bool:
        return self._node.metadata.peers[peer].uri in self._node.peers.silent

    async def _recover(self, collection: Collection, shard: int) -> None:
        """One shard at a time, from an active replica whose node answers."""
        if source := next((peer for peer in collection.active(shard) if not self._is_silent(peer)), None):
            ends = {"shard": shard, "source": source, "target": self._raft.me}
            await self._propose("transfer", name=collection.name, **ends, sync=True, method="wal_delta")

    def _continue(self, collection: Collection, transfer: Transfer) -> None:
        key = collection.uid, transfer.shard, transfer.target
        if transfer.source == self._raft.me:
            self._once(key, self._send(collection, transfer))
        elif transfer.target == self._raft.me and self._is_silent(transfer.source):
            self._once(key, self._end(collection, transfer, complete=False))

    async def _send(self, collection: Collection, transfer: Transfer) -> None:
        """Streams a shard while writes go on, removes at the target what is not here, and lets it be active."""
        complete, to = False, (transfer.target, collection.name, transfer.shard)
        with suppress(ServiceError):
            shard = await self._node.local(collection, transfer.shard)
            ids = iter(shard.ids())
            while batch := list(islice(ids, BATCH)):
                async with shard.lock:
                    points = shard.retrieve({"ids": batch, "with_vector": True})
                    await self._node.pass_on(*to, "upsert", points)
            async with shard.lock:
                await self._node.pass_on(*to, "delete", {"must_not": [{"has_id": shard.ids()}]})
            complete = True
        await self._end(collection, transfer, complete)

    async def _end(self, collection: Collection, transfer: Transfer, complete: bool) -> None:
        ends = transfer.model_dump(include={"shard", "source", "target"})
        await self._propose("end_transfer", name=collection.name, **ends, complete=complete)

    # -- /readyz

    async def ready(self) -> bool:
        """True for ever once it was true; each request makes half a second of progress."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready and time.monotonic() < deadline:
            self._ready = await self._is_ready()
            await asyncio.sleep(0 if self._ready else 0.1)
        return self._ready

    async def _is_ready(self) -> bool:
        metadata, me = self._node.metadata, self._raft.me
        if self._joined and len(metadata.peers) <= 1:
            return False
        if self._goal < 0:  # where the others are now; when no peer answers, this node counts as up to date
            others = (known.uri for peer, known in metadata.peers.items() if peer != me)
            asked = [self._node.peers.ask(uri, "ping", None, READY_SECONDS) for uri in others]
            commits = await asyncio.gather(*asked, return_exceptions=True)
            self._goal = max((commit for commit in commits if isinstance(commit, int)), default=0)
        if self._raft.commit < self._goal:
            return False
        held = ((c.uid, shard, state) for c in metadata.collections.values() for shard, state in c.held_by(me).items())
        unhealthy = {(uid, shard) for uid, shard, state in held if state != "Active"}
        self._unhealthy = unhealthy if self._unhealthy is None else self._unhealthy & unhealthy
        return not self._unhealthy
