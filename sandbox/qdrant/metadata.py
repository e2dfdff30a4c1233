"""What all nodes agree on: peers, collections, replica states, transfers. An operation of the log in, a new state out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wire import Failure

Operation = dict[str, Any]


@dataclass
class Peer:
    uri: str
    voter: bool


@dataclass
class Transfer:
    shard: int
    source: int
    target: int
    sync: bool  # the source keeps its replica
    method: str


@dataclass
class Collection:
    name: str
    uid: str  # a collection made again under the same name must not find the old one's points
    params: dict[str, Any]
    shards: dict[int, dict[int, str]]
    transfers: list[Transfer] = field(default_factory=list)
    schema: dict[str, str] = field(default_factory=dict)

    def active(self, shard: int) -> list[int]:
        return [peer for peer, state in self.shards[shard].items() if state == "Active"]

    def transfers_to(self, shard: int, peer: int) -> list[Transfer]:
        return [t for t in self.transfers if (t.shard, t.target) == (shard, peer)]


class Metadata:
    """The replicated state; every public method but the questions at the end is an operation of the log."""

    def __init__(self) -> None:
        self.peers: dict[int, Peer] = {}
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}

    def apply(self, operation: Operation) -> None:
        """Raises `Failure`, on every node alike, for an operation that must not be."""
        arguments = {k: v for k, v in operation.items() if k not in ("do", "id", "term")}
        getattr(self, operation["do"])(**arguments)

    def nothing(self) -> None:
        """A new leader commits this to learn what its predecessors had committed."""

    def add_peer(self, peer: int, uri: str, voter: bool = False) -> None:
        for other in [p for p, known in self.peers.items() if known.uri == uri and p != peer]:
            if self.holds_shards(other):
                raise Failure(400, f"Bad request: peer URI {uri} already used by peer {other} which still has shards")
            del self.peers[other]
        self.peers[peer] = Peer(uri, voter or (peer in self.peers and self.peers[peer].voter))

    def promote(self, peer: int) -> None:
        if peer in self.peers:
            self.peers[peer].voter = True

    def remove_peer(self, peer: int, force: bool) -> None:
        if peer not in self.peers:
            raise Failure(404, f"Not found: Peer {peer} does not exist")
        if self.holds_shards(peer) and not force:
            raise Failure(400, f"Bad request: Cannot remove peer {peer} as there are shards on it")
        del self.peers[peer]
        for collection in self.collections.values():
            collection.transfers = [t for t in collection.transfers if peer not in (t.source, t.target)]
            for replicas in collection.shards.values():
                replicas.pop(peer, None)

    def create(self, name: str, uid: str, params: dict[str, Any], replicas: list[list[int]]) -> None:
        if name in self.collections or name in self.aliases:
            raise Failure(409, f"Wrong input: Collection `{name}` already exists!")
        shards = {n: dict.fromkeys(peers, "Initializing") for n, peers in enumerate(replicas)}
        self.collections[name] = Collection(name, uid, params, shards)

    def patch(self, name: str, params: dict[str, Any]) -> None:
        self.collection(name).params.update(params)  # a new replication_factor is written down and moves nothing

    def drop(self, name: str) -> None:
        self.collections.pop(name, None)
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != name}

    def alias(self, actions: list[dict[str, Any]]) -> None:
        for (kind, a), *_ in (action.items() for action in actions):
            if kind == "create_alias":
                self.aliases[a["alias_name"]] = self.collection(a["collection_name"]).name
            elif (old := a.get("old_alias_name") or a.get("alias_name")) not in self.aliases:
                raise Failure(404, f"Not found: Alias {old} does not exists!")
            elif target := self.aliases.pop(old):
                self.aliases |= {a["new_alias_name"]: target} if kind == "rename_alias" else {}

    def index(self, name: str, key: str, schema: str | None) -> None:
        collection = self.collection(name)
        collection.schema = {k: v for k, v in collection.schema.items() if k != key} | ({key: schema} if schema else {})

    def replica(self, name: str, shard: int, peer: int, state: str, expected: str | None = None) -> None:
        collection = self.collection(name)
        now = collection.shards[shard].get(peer)
        if now is None or (expected and now != expected):
            return
        if state == "Dead" and collection.active(shard) == [peer]:
            raise Failure(500, f"Service internal error: Cannot deactivate the last active replica {peer} of {shard}")
        collection.shards[shard][peer] = state
        if state == "Dead":
            collection.transfers = [t for t in collection.transfers if (t.shard, t.target) != (shard, peer)]

    def start_transfer(self, name: str, shard: int, source: int, target: int, sync: bool, method: str) -> None:
        collection = self.collection(name)
        if source not in collection.active(shard) or target not in self.peers or collection.transfers_to(shard, target):
            raise Failure(400, f"Bad request: Shard {shard} cannot be transferred from {source} to {target}")
        if target in collection.active(shard):
            raise Failure(400, f"Bad request: Shard {shard} is already active on peer {target}")
        collection.shards[shard][target] = "Partial"
        collection.transfers.append(Transfer(shard, source, target, sync, method))

    def end_transfer(self, name: str, shard: int, source: int, target: int, done: bool) -> None:
        collection = self.collection(name)
        ended = next((t for t in collection.transfers_to(shard, target) if t.source == source), None)
        if ended is None:
            raise Failure(400, f"Bad request: There is no transfer of shard {shard} from {source} to {target}")
        collection.transfers.remove(ended)
        collection.shards[shard][target] = "Active" if done else "Dead"
        if not ended.sync:
            del collection.shards[shard][source if done else target]

    def drop_replica(self, name: str, shard: int, peer: int) -> None:
        collection = self.collection(name)
        if peer not in collection.shards[shard]:
            raise Failure(400, f"Bad request: Shard {shard} does not exist on peer {peer}")
        if collection.active(shard) in ([peer], []):
            raise Failure(
                400, f"Bad request: Shard {shard} must have at least one active replica after removing {peer}"
            )
        del collection.shards[shard][peer]
        collection.transfers = [t for t in collection.transfers if t.shard != shard or peer not in (t.source, t.target)]

    def collection(self, name: str) -> Collection:
        found = self.collections.get(self.aliases.get(name, name))
        if found is None:
            raise Failure(404, f"Not found: Collection `{name}` doesn't exist!")
        return found

    def holds_shards(self, peer: int) -> bool:
        return any(peer in replicas for c in self.collections.values() for replicas in c.shards.values())

    def place(self, shards: int, factor: int) -> list[list[int]]:
        """As many replicas as asked for or as peers are known now, on the least loaded; never looked at again."""
        load = Counter(dict.fromkeys(sorted(self.peers), 0))
        placed = []
        for _ in range(shards):
            chosen = sorted(load, key=lambda peer: load[peer])[:factor]
            load.update(chosen)
            placed.append(chosen)
        return placed
