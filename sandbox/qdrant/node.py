"""One node among its peers: which replicas are read, which are written, and which are declared dead."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from random import shuffle
from typing import Any

from sandbox.qdrant.metadata import Collection, Metadata
from sandbox.qdrant.raft import Raft
from sandbox.qdrant.shards import Shard
from sandbox.qdrant.wire import Peers, ServiceError

READ_SECONDS, WRITE_SECONDS = 1.0, 20.0  # a frozen peer holds up writes, and not reads, as it does in the real one
DEACTIVATE_SECONDS, JOIN_SECONDS = 30.0, 15.0
Change = tuple[int, str, Any, list[int]]  # shard, what to do, with what, and the peers that its writer sends it to
Missed = dict[tuple[int, int], BaseException]  # why, by shard and peer


class Node:
    """What a peer does for clients and other peers; the caretaker reconciles its replicas."""

    def __init__(self, storage: Path, clustered: bool) -> None:
        self.clustered, self.snapshots = clustered, storage / "snapshots"
        self.peers = Peers()
        self.raft = Raft(storage / "raft_state.json", self.peers)
        self.shards: dict[tuple[str, int], Shard] = {}
        self.draining = False

    @property
    def metadata(self) -> Metadata:
        return self.raft.metadata

    async def answer(self, subject: str, body: Any) -> Any:
        """This node's answer to another."""
        if self.draining:
            raise ServiceError(503, "shutting down")
        if subject == "ping":
            return self.raft.commit
        if subject == "join":
            return await self.raft.propose("add_peer", JOIN_SECONDS, insist=True, **body)
        if subject == "propose":
            return await self.raft.on_propose(body)
        if subject in ("append", "vote"):
            return self.raft.on_append(body) if subject == "append" else self.raft.on_vote(body)
        return await (self._read_here(*body) if subject == "read" else self._update_here(*body))

    async def local(self, collection: Collection, shard: int) -> Shard:
        """The shard on this disk; one that this node has just been given may take a moment to open."""
        for _ in range(100):
            if found := self.shards.get((collection.uid, shard)):
                return found
            await asyncio.sleep(0.02)
        raise ServiceError(500, f"Service internal error: Shard {shard} is not on peer {self.raft.me}")

    async def _ask(self, peer: int, subject: str, body: Any, seconds: float) -> Any:
        if peer == self.raft.me:
            return await self.answer(subject, body)
        if peer not in self.metadata.peers:
            raise ServiceError(503, f"peer {peer} was removed")
        return await self.peers.ask(self.metadata.peers[peer].uri, subject, body, seconds)

    # -- reading

    async def read(self, name: str, kind: str, body: Any, shards: Iterable[int] | None = None) -> list[Any]:
        """One answer per shard: from this node where it can, else from another active replica, else from the next."""
        collection = self.metadata.collection(name)
        missing = set(range(len(collection.shards)) if shards is None else shards)
        tried, answers = defaultdict[int, set[int]](set), []
        while missing:
            plan = defaultdict[int, list[int]](list)
            for shard in missing:
                peer = self._choose(collection, shard, tried[shard])
                plan[peer].append(shard)
                tried[shard].add(peer)
            asked = [
                self._ask(peer, "read", (collection.name, n, kind, body), READ_SECONDS) for peer, n in plan.items()
            ]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            for shards_asked, outcome in zip(plan.values(), outcomes, strict=True):
                if not isinstance(outcome, BaseException):
                    answers += outcome
                    missing -= set(shards_asked)
                elif not isinstance(outcome, ServiceError) or not outcome.transient:
                    raise outcome  # even a 404 of a stranger: the real one asks no further replica
        return answers

    def _choose(self, collection: Collection, shard: int, tried: set[int]) -> int:
        active = [peer for peer in collection.active(shard) if peer not in tried and peer in self.metadata.peers]
        if self.raft.me in active:
            return self.raft.me
        if not active:
            text = f"The replica set for shard {shard} on peer {self.raft.me} does not have enough active replicas"
            raise ServiceError(500, f"Service internal error: {text}")
        shuffle(active)
        return min(active, key=lambda peer: self.metadata.peers[peer].uri in self.peers.silent)

    async def _read_here(self, name: str, shards: list[int], kind: str, body: Any) -> list[Any]:
        collection = self.metadata.collection(name)
        return [(await self.local(collection, shard)).do(kind, body) for shard in shards]

    # -- writing

    async def write(self, name: str, kind: str, bodies: dict[int, Any]) -> None:
        """Writes to all living replicas of each shard; those that miss it are declared dead before the response."""
        collection = self.metadata.collection(name)
        targets = {n: [p for p, s in collection.shards[n].items() if s in ("Active", "Initializing")] for n in bodies}
        if bare := [n for n in bodies if not collection.active(n)]:
            text = f"The replica set for shard {bare[0]} on peer {self.raft.me} has no active replica"
            raise ServiceError(500, f"Service internal error: {text}")
        missed = await self._send(collection.name, [(n, kind, body, targets[n]) for n, body in bodies.items()])
        self._check_consistency(collection, targets, missed)
        where = [{"name": collection.name, "shard": n, "peer": peer} for n, peer in missed]
        dead = (self.raft.propose("replica", DEACTIVATE_SECONDS, insist=True, state="Dead", **each) for each in where)
        if refused := [error for error in await asyncio.gather(*dead, return_exceptions=True) if error]:
            text = "Some replica failed to apply operation and was not deactivated. Please retry."
            raise ServiceError(500, f"Service internal error: {text} {refused[0]}")

    async def _send(self, name: str, changes: list[Change]) -> Missed:
        theirs = {peer: [c for c in changes if peer in c[3]] for peer in {peer for c in changes for peer in c[3]}}
        asked = [self._ask(peer, "update", (name, some), WRITE_SECONDS) for peer, some in theirs.items()]
        missed: Missed = {}
        for peer, outcome in zip(theirs, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException):
                missed |= {(n, peer): outcome for n, *_ in theirs[peer]}
            else:
                missed |= {(n, other): ServiceError(500, f"peer {other} missed it") for n, other in outcome}
        return missed

    def _check_consistency(self, collection: Collection, targets: dict[int, list[int]], missed: Missed) -> None:
        """With too few copies the caller gets 500, no replica is declared dead, and what was written stays written."""
        needed = collection.params["write_consistency_factor"]
        failed = [n for n, ps in targets.items() if sum((n, p) not in missed for p in ps) < min(needed, len(ps))]
        if failed:
            first = next(error for (n, _), error in missed.items() if n in failed)
            if isinstance(first, ServiceError) and not first.transient:
                raise first
            count = f"{len(failed)} out of {len(targets)}"
            text = f"{count} shards failed to apply operation. First error captured: {first}"
            raise ServiceError(500, f"Service internal error: {text}")

    async def _update_here(self, name: str, changes: list[Change]) -> list[tuple[int, int]]:
        """Applies changes on this disk, and passes them on to living replicas that their writer did not know of."""
        collection, missed = self.metadata.collection(name), []
        for n, kind, body, targets in changes:
            if targets and collection.shards[n].get(self.raft.me) == "Dead":
                raise ServiceError(500, f"Service internal error: Shard {n} on peer {self.raft.me} is dead")
            shard = await self.local(collection, n)
            async with shard.lock:
                shard.do(kind, body)
            fed = {t.target for t in collection.transfers if (t.shard, t.source) == (n, self.raft.me)}
            for peer in fed.union(collection.active(n)).difference(targets) if targets else ():
                try:
                    await self.pass_on(peer, name, n, kind, body)
                except ServiceError:
                    missed.append((n, peer))
        return missed

    async def pass_on(self, peer: int, name: str, shard: int, kind: str, body: Any) -> None:
        await self._ask(peer, "update", (name, [(shard, kind, body, [])]), WRITE_SECONDS)
