"""Agreement: a leader elected by a majority, and no metadata in force before a majority keeps them.

As in Raft, but what is replicated is all of the (small) metadata with a number, not a log of operations.
"""

import asyncio
import os
import random
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from sandbox.qdrant.metadata import Metadata, Peer
from sandbox.qdrant.wire import Peers, ServiceError

TICK_SECONDS, HEARTBEAT_SECONDS, ELECTION_SECONDS = 0.1, 0.2, (2.0, 4.0)
ANSWER_SECONDS, INSIST_SECONDS = 2.0, 1.0
Message = dict[str, Any]


class Raft:
    """This node's part: `metadata` are in force, `draft` is the last it has kept and may or may not come into force."""

    def __init__(self, file: Path, peers: Peers) -> None:
        self._file, self._peers = file, peers
        self.me, self.term, self.vote = random.randrange(1, 1 << 53), 0, 0
        self.role, self.leader, self.updated = "Follower", 0, time.time()
        self.metadata = self.draft = Metadata()
        self.commit, self.last = 0, (0, 0)  # the number in force; term and number of the draft
        self._kept: dict[int, tuple[int, int]] = {}  # by each peer
        self._feeding: dict[int, asyncio.Task[None]] = {}
        self._turn, self._news, self._election_at = asyncio.Lock(), asyncio.Event(), 0.0

    # -- what outlives the process

    def load(self) -> bool:
        """True when this node has a place in a cluster."""
        if not self._file.exists():
            return False
        saved = orjson.loads(self._file.read_bytes())
        self.me, self.term, self.vote = saved["this_peer_id"], saved["term"], saved["vote"]
        self.commit, self.last = saved["commit"], tuple(saved["last"])
        self.metadata, self.draft = Metadata(**saved["metadata"]), Metadata(**saved["draft"])
        return True

    def save(self) -> None:
        hard = {"this_peer_id": self.me, "term": self.term, "vote": self.vote, "commit": self.commit, "last": self.last}
        addresses = {"peer_address_by_id": {peer: known.uri + "/" for peer, known in self.metadata.peers.items()}}
        kept = {"metadata": self.metadata.model_dump(), "draft": self.draft.model_dump()}
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(hard | addresses | kept, option=orjson.OPT_NON_STR_KEYS))
        os.replace(fresh, self._file)

    def found(self, uri: str) -> None:
        """The first peer of a new cluster needs no vote."""
        self.draft = Metadata(peers={self.me: Peer(uri=uri, voter=True)})
        self.term, self.last = 1, (1, 1)
        self._enforce()

    def _enforce(self) -> None:
        self.metadata, self.commit, self.updated = self.draft, self.last[1], time.time()
        if self.me not in self.metadata.peers:
            self.role, self.leader = "Follower", 0
        self.save()
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> None:
        """Returns when new metadata are in force, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    # -- proposing

    async def propose(self, do: str, seconds: float = 10.0, insist: bool = False, **arguments: Any) -> None:
        """Returns when the operation is in force here; raises its refusal, or 500 when no majority took it in time.

        Without `insist`, an operation sent to a leader that has just died is lost, as it is in the real one.
        """
        operation = {"id": uuid.uuid4().hex, "do": do, "arguments": arguments}
        deadline, again_at = time.monotonic() + seconds, 0.0
        while operation["id"] not in self.metadata.done:
            left = deadline - (now := time.monotonic())
            if left <= 0:
                text = "Waiting for consensus operation commit failed. Timeout set at: {:.0f} seconds"
                text = text if again_at else "Failed to propose operation: leader is not established within {:.0f} secs"
                raise ServiceError(500, "Service internal error: " + text.format(seconds))
            if not self.leader or now < again_at:
                await self.news(min(left, TICK_SECONDS))
                continue
            again_at = now + INSIST_SECONDS if insist else deadline
            try:
                await self._submit(operation, min(left, ANSWER_SECONDS) if insist else left)
            except ServiceError as error:
                if not error.transient:
                    raise

    async def _submit(self, operation: Message, seconds: float) -> None:
        if self.leader == self.me:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.on_propose(operation)
        elif leader := self.metadata.peers.get(self.leader):
            await self._peers.ask(leader.uri, "propose", operation, seconds)

    async def on_propose(self, operation: Message) -> None:
        """One operation after another, each answered when it is in force."""
        async with self._turn:
            if self.role == "Leader" and operation["id"] not in self.draft.done:
                self._keep(self.draft.after(operation))
            while operation["id"] not in self.metadata.done:
                if self.role != "Leader":
                    raise ServiceError(503, "not the leader")
                await self.news(TICK_SECONDS)

    # -- leading

    async def run(self) -> None:
        """Ticks for ever: a leader sends to its peers; the others wait for a leader and at last start an election."""
        self._election_at = 0.0 if self._is_majority({self.me}) else self._next_election()
        while True:
            if self.role == "Leader":
                self._feed_all()
                await asyncio.sleep(HEARTBEAT_SECONDS)
            elif time.monotonic() >= self._election_at and self.is_voter:
                await self._start_election()
            else:
                await asyncio.sleep(TICK_SECONDS)

    @property
    def is_voter(self) -> bool:
        return self.me in self.metadata.peers and self.metadata.peers[self.me].voter

    def _is_majority(self, of: set[int]) -> bool:
        voters = {peer for peer, known in self.metadata.peers.items() if known.voter}
        return 2 * len(of & voters) > len(voters)

    def _others(self) -> dict[int, str]:
        return {peer: known.uri for peer, known in self.metadata.peers.items() if peer != self.me}

    def _keep(self, draft: Metadata) -> None:
        self.draft, self.last = draft, (self.term, self.last[1] + 1)
        self.save()
        self._advance()
        self._feed_all()

    async def _start_election(self) -> None:
        """Starts an election without a pre-vote: a node that returns increases the term."""
        self.term, self.vote, self.role, self.leader = self.term + 1, self.me, "Candidate", 0
        self._election_at = self._next_election()
        self.save()
        ballot, votes = {"term": self.term, "from": self.me, "last": self.last}, {self.me}
        asking = {asyncio.ensure_future(self._request_vote(p, uri, ballot, votes)) for p, uri in self._others().items()}
        while asking and not self._is_majority(votes):
            _, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        if (self.role, self.term) == ("Candidate", ballot["term"]) and self._is_majority(votes):
            self.role, self.leader, self._kept = "Leader", self.me, {}
            self._keep(self.draft.after({"id": uuid.uuid4().hex, "do": "nothing", "arguments": {}}))

    async def _request_vote(self, peer: int, uri: str, ballot: Message, votes: set[int]) -> None:
        with suppress(ServiceError):
            reply = await self._peers.ask(uri, "vote", ballot | {"to": peer}, INSIST_SECONDS)
            self._follow(reply["term"])
            votes |= {peer} if reply["granted"] else set()

    def _feed_all(self) -> None:
        for peer, uri in self._others().items():
            if peer not in self._feeding:
                self._feeding[peer] = asyncio.create_task(self._feed(peer, uri))

    async def _feed(self, peer: int, uri: str) -> None:
        """Sends a peer the draft and the commit number until it has both."""
        sent = None
        with suppress(ServiceError):
            while self.role == "Leader" and sent != (self.last, self.commit):
                sent = self.last, self.commit
                message = {"to": peer, "from": self.me, "term": self.term, "last": self.last, "commit": self.commit}
                message |= {"draft": self.draft.model_dump()} if self._kept.get(peer) != self.last else {}
                reply = await self._peers.ask(uri, "append", message, ANSWER_SECONDS)
                self._follow(reply["term"])
                self._kept[peer] = tuple(reply["last"])
                self._advance()
            known = self.metadata.peers.get(peer)
            if known and not known.voter and self.role == "Leader" and self.commit == self.last[1]:
                await self.propose("promote", peer=peer)
        del self._feeding[peer]

    def _advance(self) -> None:
        keepers = {self.me} | {peer for peer, last in self._kept.items() if last == self.last}
        if self.role == "Leader" and self.commit < self.last[1] and self._is_majority(keepers):
            self._enforce()
            self._feed_all()

    # -- following

    def _next_election(self) -> float:
        return time.monotonic() + random.uniform(*ELECTION_SECONDS)

    def _follow(self, term: int, leader: int = 0) -> None:
        if term > self.term or leader:
            self.role, self.leader = "Follower", leader
        if term > self.term:
            self.term, self.vote = term, 0
            self.save()

    def on_vote(self, ballot: Message) -> Message:
        if ballot["to"] != self.me or ballot["from"] not in self.metadata.peers:
            raise ServiceError(400, "a stranger's election")  # of another cluster, or of a peer that was removed
        self._follow(ballot["term"])
        electable = ballot["term"] == self.term and tuple(ballot["last"]) >= self.last
        granted = electable and self.vote in (0, ballot["from"])
        if granted:
            self.vote, self._election_at = ballot["from"], self._next_election()
            self.save()
        return {"term": self.term, "granted": granted}

    def on_append(self, message: Message) -> Message:
        if message["to"] != self.me:
            raise ServiceError(400, "a stranger's metadata")  # for the registered node whose address this one took
        if message["term"] >= self.term:
            self._follow(message["term"], message["from"])
            self._election_at, last = self._next_election(), tuple(message["last"])
            if "draft" in message and last > self.last:  # one that was held up must not undo a newer one
                self.draft, self.last = Metadata(**message["draft"]), last
                self.save()
            if self.last == last and self.commit < message["commit"] == last[1]:
                self._enforce()
        return {"term": self.term, "last": self.last}
