"""The log of metadata operations: a leader elected by a majority, and nothing applied before a majority has it."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from metadata import Metadata, Operation
from wire import Failure, Peers

TICK_SECONDS, HEARTBEAT_SECONDS, ELECTION_SECONDS = 0.1, 0.2, (2.0, 4.0)


class Raft:
    """Keeps term, vote and log in `folder`; entries are numbered from 1 and never compacted."""

    def __init__(self, folder: Path, metadata: Metadata, peers: Peers, changed: Callable[[], None]) -> None:
        self._state, self._entries = folder / "raft_state.json", folder / "raft_log.jsonl"
        self.metadata, self._peers, self._changed = metadata, peers, changed
        self.me, self.term, self.commit = random.randrange(1, 1 << 53), 0, 0
        self.vote: int | None = None
        self.leader: int | None = None
        self.role = "Follower"
        self.log: list[Operation] = []
        self.updated = time.time()
        self._next: dict[int, int] = {}
        self._match: dict[int, int] = {}
        self._feeding: set[int] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._election_at = 0.0

    # -- what survives the process

    @property
    def exists(self) -> bool:
        return self._state.exists()

    def load(self) -> None:
        saved = orjson.loads(self._state.read_bytes())
        hard = saved["state"]["hard_state"]
        self.me, self.term, self.vote = saved["this_peer_id"], hard["term"], hard["vote"]
        lines = self._entries.read_bytes().split(b"\n")[:-1] if self._entries.exists() else []
        self.log = [orjson.loads(line) for line in lines]  # a line cut off by a crash was never acknowledged
        self._rewrite()
        self.commit_to(hard["commit"])

    def save(self) -> None:
        voters = [peer for peer, known in self.metadata.peers.items() if known.voter]
        state = {
            "this_peer_id": self.me,
            "peer_address_by_id": {str(peer): known.uri + "/" for peer, known in self.metadata.peers.items()},
            "state": {
                "hard_state": {"term": self.term, "vote": self.vote, "commit": self.commit},
                "conf_state": {"voters": voters, "learners": [p for p in self.metadata.peers if p not in voters]},
            },
        }
        fresh = self._state.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(state))
        os.replace(fresh, self._state)

    def _write(self, entries: list[Operation]) -> None:
        with self._entries.open("ab") as file:
            file.writelines(orjson.dumps(entry) + b"\n" for entry in entries)
        self.log += entries

    def _rewrite(self) -> None:
        entries, self.log = self.log, []
        self._entries.write_bytes(b"")
        self._write(entries)

    def found(self, uri: str) -> None:
        """The first peer of a new cluster, which needs nobody's vote."""
        self.term = 1
        self._write([{"term": 1, "id": uuid.uuid4().hex, "do": "add_peer", "peer": self.me, "uri": uri, "voter": True}])
        self.commit_to(1)

    # -- proposing

    async def propose(self, operation: Operation, seconds: float = 10.0, insist: bool = False) -> None:
        """Returns when this node has applied the operation; raises its refusal, or 500 when no majority took it in time.

        Without `insist` an operation handed to a leader that has just died is lost, as it is in the real one.
        """
        entry = {"id": uuid.uuid4().hex, **operation}
        applied = self._waiting[entry["id"]] = asyncio.get_running_loop().create_future()
        deadline, again_at = time.monotonic() + seconds, 0.0
        try:
            while (now := time.monotonic()) < deadline:
                if self.leader and now >= again_at:
                    again_at = now + 1 if insist else deadline
                    with suppress(Failure):
                        await self._hand_in(entry, min(deadline - now, 2.0))
                await asyncio.wait([applied], timeout=min(0.1, deadline - now))
                if applied.done():
                    return applied.result()
        finally:
            del self._waiting[entry["id"]]
        why = "Waiting for consensus operation commit failed. Timeout set at: {} seconds"
        none = "Failed to propose operation: leader is not established within {} secs"
        raise Failure(500, "Service internal error: " + (why if again_at else none).format(round(seconds)))

    async def _hand_in(self, entry: Operation, seconds: float) -> None:
        if self.leader == self.me:
            self.on_propose(entry)
        elif (known := self.metadata.peers.get(self.leader or 0)) is not None:
            await self._peers.ask(known.uri, "propose", entry, seconds)

    def on_propose(self, entry: Operation) -> None:
        if self.role != "Leader":
            raise Failure(503, "not the leader")
        if not any(known["id"] == entry["id"] for known in self.log[-100:]):
            self._write([entry | {"term": self.term}])
            self._advance()
            self._feed_all()

    def commit_to(self, commit: int) -> None:
        if commit <= self.commit:
            return
        for entry in self.log[self.commit : commit]:
            outcome = None
            try:
                self.metadata.apply(entry)
            except Failure as refusal:
                outcome = refusal
            if (applied := self._waiting.get(entry["id"])) and not applied.done():
                applied.set_exception(outcome) if outcome else applied.set_result(None)
        self.commit, self.updated = commit, time.time()
        self.save()
        self._changed()

    # -- leading

    async def run(self) -> None:
        """Ticks for ever: a leader feeds its peers, everybody else waits for one and then stands for election."""
        self._rest()
        alone = [p for p, known in self.metadata.peers.items() if known.voter] == [self.me]
        self._election_at = 0.0 if alone else self._election_at
        beat = 0.0
        while True:
            now = time.monotonic()
            if self.role == "Leader" and now - beat >= HEARTBEAT_SECONDS:
                beat = now
                self._feed_all()
            elif self.role != "Leader" and now >= self._election_at and self.is_voter:
                await self._stand()
            await asyncio.sleep(TICK_SECONDS)

    @property
    def is_voter(self) -> bool:
        return self.me in self.metadata.peers and self.metadata.peers[self.me].voter

    @property
    def _others(self) -> dict[int, str]:
        return {peer: known.uri for peer, known in self.metadata.peers.items() if peer != self.me}

    def _majority(self, having: set[int]) -> bool:
        voters = {peer for peer, known in self.metadata.peers.items() if known.voter}
        return 2 * len(having & voters) > len(voters)

    def _rest(self) -> None:
        self._election_at = time.monotonic() + random.uniform(*ELECTION_SECONDS)

    def _follow(self, term: int, leader: int | None) -> None:
        if term > self.term:
            self.term, self.vote = term, None
            self.save()
        self.role, self.leader = "Follower", leader

    def _last_term(self, index: int) -> int:
        return int(self.log[index - 1]["term"]) if index else 0

    async def _stand(self) -> None:
        self.term, self.vote, self.role, self.leader = self.term + 1, self.me, "Candidate", None
        self.save()
        self._rest()
        last = len(self.log)
        ballot = {"term": self.term, "from": self.me, "last": last, "last_term": self._last_term(last)}
        votes = {self.me}

        async def canvass(peer: int, uri: str) -> None:
            with suppress(Failure):
                reply = await self._peers.ask(uri, "vote", ballot | {"to": peer}, 1.0)
                if reply["granted"]:
                    votes.add(peer)
                elif reply["term"] > self.term:
                    self._follow(reply["term"], None)

        asking = [asyncio.create_task(canvass(peer, uri)) for peer, uri in self._others.items()]
        while self.role == "Candidate" and self.term == ballot["term"] and not self._majority(votes):
            if not asking:
                return
            _, pending = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            asking = list(pending)
        if self.role == "Candidate" and self.term == ballot["term"]:
            self.role, self.leader = "Leader", self.me
            self._next, self._match = dict.fromkeys(self._others, last + 1), {}
            self.on_propose({"id": uuid.uuid4().hex, "do": "nothing"})

    def _feed_all(self) -> None:
        for peer, uri in self._others.items():
            if peer not in self._feeding:
                self._feeding.add(peer)
                asyncio.create_task(self._feed(peer, uri)).add_done_callback(lambda _, p=peer: self._feeding.discard(p))

    async def _feed(self, peer: int, uri: str) -> None:
        """Sends what `peer` lacks until it has all, including the news of the last commit."""
        with suppress(Failure):
            while self.role == "Leader":
                before = self._next.setdefault(peer, len(self.log) + 1) - 1
                entries, commit = self.log[before : before + 100], self.commit
                message = {"term": self.term, "from": self.me, "to": peer, "before": before, "commit": commit}
                message |= {"before_term": self._last_term(before), "entries": entries}
                reply = await self._peers.ask(uri, "append", message, 2.0)
                if reply["term"] > self.term:
                    return self._follow(reply["term"], None)
                if not reply["ok"]:
                    self._next[peer] = max(1, min(before, reply["last"] + 1))
                    continue
                self._match[peer] = before + len(entries)
                self._next[peer] = self._match[peer] + 1
                self._advance()
                if self._match[peer] == len(self.log) and commit == self.commit:
                    return self._promote(peer)

    def _promote(self, peer: int) -> None:
        known = self.metadata.peers.get(peer)
        if known and not known.voter and self.role == "Leader" and self.commit == len(self.log):
            self.on_propose({"id": uuid.uuid4().hex, "do": "promote", "peer": peer})

    def _advance(self) -> None:
        if self.role != "Leader":
            return
        for index in range(len(self.log), self.commit, -1):
            having = {self.me} | {peer for peer, match in self._match.items() if match >= index}
            if self._majority(having) and self._last_term(index) == self.term:
                self.commit_to(index)
                self._feed_all()
                return

    # -- being led

    def on_vote(self, ballot: dict[str, Any]) -> dict[str, Any]:
        if ballot["to"] != self.me or ballot["from"] not in self.metadata.peers:
            raise Failure(400, "a stranger's election")  # of another cluster, or removed from this one
        if ballot["term"] > self.term:
            self._follow(ballot["term"], None)
        longer = (ballot["last_term"], ballot["last"]) >= (self._last_term(len(self.log)), len(self.log))
        granted = ballot["term"] == self.term and longer and self.vote in (None, ballot["from"])
        if granted:
            self.vote = ballot["from"]
            self.save()
            self._rest()
        return {"term": self.term, "granted": granted}

    def on_append(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["to"] != self.me:
            raise Failure(400, "a stranger's log")  # an empty node on the address of a registered one
        before = message["before"]
        if message["term"] >= self.term:
            self._follow(message["term"], message["from"])
            self._rest()
            if before <= len(self.log) and self._last_term(before) == message["before_term"]:
                self._take(before, message["entries"])
                self.commit_to(min(message["commit"], before + len(message["entries"])))
                return {"term": self.term, "ok": True}
        return {"term": self.term, "ok": False, "last": min(len(self.log), before - 1)}

    def _take(self, before: int, entries: list[Operation]) -> None:
        for index, entry in enumerate(entries, before):
            if index >= len(self.log):
                return self._write(entries[index - before :])
            if self.log[index]["term"] != entry["term"]:
                self.log = self.log[:index]
                self._rewrite()
                return self._write(entries[index - before :])
