"""Keeps the replicas of a node as the metadata say: opened, recovered when dead, handed over, deleted; and knows when all is well."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from metadata import Collection, Operation, Transfer
from node import Node
from shards import Shard
from wire import Failure

BATCH, FLUSH_SECONDS, READY_SECONDS = 100, 60.0, 0.5


class Caretaker:
    """Looks at the metadata after every change and does what this node has to do."""

    def __init__(self, node: Node, storage: Path, joined: bool) -> None:
        self._node, self._storage = node, storage
        self._doing: dict[Any, asyncio.Task[None]] = {}
        self._joined, self._ready = joined, False
        self._goal: int | None = None
        self._ill: set[tuple[str, int]] | None = None

    def start(self) -> None:
        self._once("raft", self._node.raft.run())
        self._once("care", self._care())
        self._once("flush", self._flush())

    def stop(self) -> None:
        for task in self._doing.values():
            task.cancel()

    def _once(self, key: Any, work: Coroutine[Any, Any, None]) -> None:
        if key in self._doing:
            return work.close()
        self._doing[key] = asyncio.create_task(work)
        self._doing[key].add_done_callback(lambda _: self._doing.pop(key))

    async def _propose(self, operation: Operation) -> None:
        with suppress(Failure):  # refused or without a majority: the next look decides again
            await self._node.raft.propose(operation)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            for shard in list(self._node.shards.values()):
                await asyncio.to_thread(shard.flush)

    async def _care(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._node.changed.wait(), 0.5)
            self._node.changed.clear()
            collections = list(self._node.metadata.collections.values())
            for collection in collections:
                self._open(collection)
                for transfer in collection.transfers:
                    self._attend(collection, transfer)
            recovering = any(t.target == self._node.me for c in collections for t in c.transfers)
            for collection in collections:
                for shard, replicas in collection.shards.items():
                    self._heal(collection, shard, replicas.get(self._node.me), recovering)
            self._delete_strangers({(c.uid, n) for c in collections for n, r in c.shards.items() if self._node.me in r})

    def _open(self, collection: Collection) -> None:
        for n in (n for n, replicas in collection.shards.items() if self._node.me in replicas):
            if (collection.uid, n) not in self._node.shards:
                folder = self._storage / "collections" / collection.uid / str(n)
                self._node.shards[collection.uid, n] = Shard(folder, collection.params["vectors"])
            self._node.shards[collection.uid, n].index(collection.schema)

    def _heal(self, collection: Collection, shard: int, state: str | None, recovering: bool) -> None:
        """One at a time, a dead replica asks an active one for everything; a new one is complete because nothing was written."""
        me, operation = self._node.me, {"name": collection.name, "shard": shard}
        if state == "Initializing":
            work = {"do": "replica", "peer": me, "state": "Active", "expected": state, **operation}
            self._once((collection.uid, shard), self._propose(work))
        elif state == "Dead" and not recovering:
            uri_of = {p: self._node.metadata.peers[p].uri for p in collection.active(shard)}
            if source := next((p for p, uri in uri_of.items() if uri not in self._node.peers.silent), None):
                work = {
                    "do": "start_transfer",
                    "source": source,
                    "target": me,
                    "sync": True,
                    "method": "wal_delta",
                    **operation,
                }
                self._once("recovery", self._propose(work))

    def _attend(self, collection: Collection, transfer: Transfer) -> None:
        me, peers = self._node.me, self._node.metadata.peers
        if transfer.source == me:
            self._once(transfer.key, self._hand_over(collection, transfer))
        elif transfer.target == me and peers[transfer.source].uri in self._node.peers.silent:
            self._once(transfer.key, self._propose(transfer.ended(collection.name, False)))

    async def _hand_over(self, collection: Collection, transfer: Transfer) -> None:
        """Streams a shard while writes go on, then removes at its target what is not here, and declares it active."""
        shard, done = await self._node.local(collection, transfer.shard), False
        with suppress(Failure):
            ids = iter(shard.ids())
            while batch := list(islice(ids, BATCH)):
                async with shard.lock:
                    points = shard.retrieve({"ids": batch, "with_vector": True})
                    await self._node.pass_on(transfer.target, collection.name, transfer.shard, {"points": points})
            async with shard.lock:
                await self._node.pass_on(transfer.target, collection.name, transfer.shard, {"only": shard.ids()})
            done = True
        await self._propose(transfer.ended(collection.name, done))

    def _delete_strangers(self, mine: set[tuple[str, int]]) -> None:
        for key in self._node.shards.keys() - mine:
            self._node.shards.pop(key).close()
            shutil.rmtree(self._storage / "collections" / key[0] / str(key[1]))

    # -- /readyz

    async def ready(self) -> bool:
        """True for ever once it was true, and nearer to it only while somebody asks, for half a second each time."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready and time.monotonic() < deadline:
            self._ready = await self._look()
            await asyncio.sleep(0 if self._ready else 0.1)
        return self._ready

    async def _look(self) -> bool:
        raft, peers = self._node.raft, self._node.metadata.peers
        if self._joined and len(peers) <= 1:
            return False
        if self._goal is None:
            asked = (self._node.peers.ask(p.uri, "ping", None, READY_SECONDS) for n, p in peers.items() if n != raft.me)
            commits = await asyncio.gather(*asked, return_exceptions=True)
            self._goal = max([commit for commit in commits if isinstance(commit, int)], default=0)
        if raft.commit < self._goal:
            return False
        ill = {
            (c.uid, n)
            for c in self._node.metadata.collections.values()
            for n, r in c.shards.items()
            if r.get(raft.me, "Active") != "Active"
        }
        self._ill = ill if self._ill is None else self._ill & ill
        return not self._ill
