"""One node among its peers: which replicas are asked for points, which are told of changes, and who is declared dead."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from random import shuffle
from typing import Any

from metadata import Collection, Metadata
from raft import Raft
from shards import Shard
from wire import Failure, Peers

READ_SECONDS, WRITE_SECONDS, DEACTIVATE_SECONDS = (
    1.5,
    20.0,
    30.0,
)  # a frozen peer holds a write as long as in the real one
Changes = dict[int, dict[str, Any]]  # by shard
Told = dict[int, list[int]]  # the peers a writer sends a shard's change to


def shard_of(point: int | str, shards: int) -> int:
    return zlib.crc32(str(point).encode()) % shards


class Node:
    """What a peer does for its clients and for other peers; `caretaker.py` keeps its replicas whole meanwhile."""

    def __init__(self, storage: Path) -> None:
        self.peers, self.metadata, self.changed = Peers(), Metadata(), asyncio.Event()
        self.raft = Raft(storage, self.metadata, self.peers, self.changed.set)
        self.shards: dict[tuple[str, int], Shard] = {}
        self.draining = False

    @property
    def me(self) -> int:
        return self.raft.me

    async def answer(self, subject: str, body: Any) -> Any:
        """What this node says to another."""
        match subject:
            case "ping":
                return self.raft.commit
            case "append" | "vote" | "propose":
                return getattr(self.raft, f"on_{subject}")(body)
            case "join":
                await self.raft.propose({"do": "add_peer", **body}, 15.0, insist=True)
                return {peer: known.uri for peer, known in self.metadata.peers.items()}
            case "read":
                return await self._read_here(*body)
            case "update":
                name, changes, told = body
                told = {int(shard): peers for shard, peers in told.items()} if told else None
                return await self._update_here(name, {int(shard): change for shard, change in changes.items()}, told)
        raise Failure(400, f"Bad request: unknown subject {subject}")

    async def local(self, collection: Collection, shard: int) -> Shard:
        """The shard on this disk; one that this node has just been given may take a moment to open."""
        for _ in range(100):
            if found := self.shards.get((collection.uid, shard)):
                return found
            await asyncio.sleep(0.02)
        raise Failure(500, f"Service internal error: Shard {shard} is not on peer {self.me}")

    # -- reading

    async def read(self, name: str, kind: str, body: Any, shards: Iterable[int] | None = None) -> dict[int, Any]:
        """One answer per shard: from this node where it can, else from another active replica, else from the next."""
        collection = self.metadata.collection(name)
        missing, tried = set(collection.shards if shards is None else shards), defaultdict[int, set[int]](set)
        answers: dict[int, Any] = {}
        while missing:
            plan = defaultdict(list)
            for shard in missing:
                plan[self._choose(collection, shard, tried[shard])].append(shard)
            asked = [self._ask_to_read(peer, collection.name, ids, kind, body) for peer, ids in plan.items()]
            for (peer, ids), got in zip(
                plan.items(), await asyncio.gather(*asked, return_exceptions=True), strict=True
            ):
                if not isinstance(got, BaseException):
                    answers.update(zip(ids, got, strict=True))
                    missing -= set(ids)
                elif not isinstance(got, Failure) or not got.transient:
                    raise got  # even when a stranger says 404 on a registered address: the real one asks no further
                for shard in ids:
                    tried[shard].add(peer)
        return answers

    def _choose(self, collection: Collection, shard: int, tried: set[int]) -> int:
        active = [peer for peer in collection.active(shard) if peer not in tried]
        if self.me in active:
            return self.me
        if not active:
            text = f"The replica set for shard {shard} on peer {self.me} does not have enough active replicas"
            raise Failure(500, f"Service internal error: {text}")
        shuffle(active)
        return min(active, key=lambda peer: self.metadata.peers[peer].uri in self.peers.silent)

    async def _ask_to_read(self, peer: int, *question: Any) -> Any:
        if peer == self.me:
            return await self._read_here(*question)
        return await self.peers.ask(self.metadata.peers[peer].uri, "read", question, READ_SECONDS)

    async def _read_here(self, name: str, shards: list[int], kind: str, body: Any) -> list[Any]:
        collection = self.metadata.collection(name)
        return [(await self.local(collection, shard)).read(kind, body) for shard in shards]

    # -- writing

    async def write(self, name: str, changes: Changes) -> None:
        """Sends each shard's change to all its living replicas at once; those that fail are dead by consent before the ack."""
        collection = self.metadata.collection(name)
        told = {n: [p for p, s in collection.shards[n].items() if s in ("Active", "Initializing")] for n in changes}
        if bare := [n for n in changes if not collection.active(n)]:
            text = f"The replica set for shard {bare[0]} on peer {self.me} has no active replica"
            raise Failure(500, f"Service internal error: {text}")
        asked = {p: {n: c for n, c in changes.items() if p in told[n]} for p in {p for ps in told.values() for p in ps}}
        outcomes = await asyncio.gather(
            *(self._ask_to_update(p, collection.name, some, told) for p, some in asked.items()), return_exceptions=True
        )
        missed: dict[tuple[int, int], BaseException] = {}
        for (peer, some), outcome in zip(asked.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                missed |= {(n, peer): outcome for n in some}
            else:
                missed |= {(n, other): Failure(500, "untold replica missed it") for n, other in outcome}
        self._check_consistency(collection, told, missed)
        dead = [{"do": "replica", "name": collection.name, "shard": n, "peer": p, "state": "Dead"} for n, p in missed]
        await asyncio.gather(*(self.raft.propose(operation, DEACTIVATE_SECONDS, insist=True) for operation in dead))

    def _check_consistency(
        self, collection: Collection, told: Told, missed: dict[tuple[int, int], BaseException]
    ) -> None:
        """Too few copies: the caller hears 500, nobody is declared dead, and what was written stays written."""
        needed = collection.params["write_consistency_factor"]
        failed = [n for n, ps in told.items() if sum((n, p) not in missed for p in ps) < min(needed, len(ps))]
        if failed:
            first = next(error for (n, _), error in missed.items() if n in failed)
            if isinstance(first, Failure) and not first.transient:
                raise first
            text = f"{len(failed)} out of {len(told)} shards failed to apply operation. First error captured: {first}"
            raise Failure(500, f"Service internal error: {text}")

    async def _ask_to_update(self, peer: int, name: str, changes: Changes, told: Told | None) -> Any:
        if peer == self.me:
            return await self._update_here(name, changes, told)
        return await self.peers.ask(self.metadata.peers[peer].uri, "update", (name, changes, told), WRITE_SECONDS)

    async def _update_here(self, name: str, changes: Changes, told: Told | None) -> list[tuple[int, int]]:
        """Changes the shards on this disk; returns the replicas that its writer did not know of and that missed it."""
        collection, missed = self.metadata.collection(name), []
        for n, change in changes.items():
            shard = await self.local(collection, n)
            if told and collection.shards[n].get(self.me) == "Dead":
                raise Failure(500, f"Service internal error: Shard {n} on peer {self.me} is dead")
            async with shard.lock:
                shard.update(change)
            for peer in self._living(collection, n) - set(told[n]) if told else ():
                try:
                    await self.pass_on(peer, name, n, change)
                except Failure:
                    missed.append((n, peer))
        return missed

    def _living(self, collection: Collection, shard: int) -> set[int]:
        fed = {t.target for t in collection.transfers if (t.shard, t.source) == (shard, self.me)}
        return fed | set(collection.active(shard))

    async def pass_on(self, peer: int, name: str, shard: int, change: dict[str, Any]) -> None:
        await self._ask_to_update(peer, name, {shard: change}, None)
