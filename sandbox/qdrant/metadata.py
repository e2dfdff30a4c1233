"""What all nodes agree on: peers, collections, replicas, transfers; and the operations that change it."""

from collections import Counter
from typing import Any, Self

from pydantic import BaseModel

from sandbox.qdrant.wire import ServiceError

REMEMBERED = 100


class Peer(BaseModel):
    uri: str
    voter: bool = False


class Transfer(BaseModel):
    shard: int
    source: int
    target: int
    sync: bool  # the source keeps its replica
    method: str


class Collection(BaseModel):
    name: str
    uid: str  # one made again under the same name must not find the old one's points
    params: dict[str, Any]
    shards: list[dict[int, str]]  # the state of each peer's replica
    transfers: list[Transfer] = []
    indexes: dict[str, Any] = {}
    sections: dict[str, Any] = {}  # HNSW, optimizers and the like: written down, and that is all

    def active(self, shard: int) -> list[int]:
        return [peer for peer, state in self.shards[shard].items() if state == "Active"]

    def held_by(self, peer: int) -> dict[int, str]:
        return {n: replicas[peer] for n, replicas in enumerate(self.shards) if peer in replicas}

    def forget(self, peer: int, shard: int) -> None:
        """Drops the transfers of a shard from and to a peer."""
        self.transfers = [t for t in self.transfers if t.shard != shard or peer not in (t.source, t.target)]


class Metadata(BaseModel):
    """Never changed in place: `after` makes the next one, or raises why an operation must not be."""

    peers: dict[int, Peer] = {}
    collections: dict[str, Collection] = {}
    aliases: dict[str, str] = {}
    done: list[str] = []  # the last operations, so that one handed in twice happens once

    def after(self, operation: dict[str, Any]) -> Self:
        changed = self.model_copy(deep=True)
        try:
            getattr(changed, operation["do"])(**operation["arguments"])
        except LookupError as error:
            raise ServiceError(404, f"Not found: {error} does not exist") from error
        changed.done = [*self.done[-REMEMBERED:], operation["id"]]
        return changed

    def collection(self, name: str) -> Collection:
        if found := self.collections.get(self.aliases.get(name, name)):
            return found
        raise ServiceError(404, f"Not found: Collection `{name}` doesn't exist!")

    def placed(self, shards: int, factor: int) -> list[list[int]]:
        """As many replicas as asked for, or as peers are known now, on the least loaded; never rebalanced."""
        load, placed = Counter(dict.fromkeys(self.peers, 0)), []
        for _ in range(shards):
            placed.append(sorted(load, key=lambda peer: load[peer])[:factor])
            load.update(placed[-1])
        return placed

    def _holds_shards(self, peer: int) -> bool:
        return any(collection.held_by(peer) for collection in self.collections.values())

    # -- the operations

    def nothing(self) -> None:
        """What a new leader proposes to learn what its predecessors had committed."""

    def add_peer(self, *, peer: int, uri: str) -> None:
        for other in [other for other, known in self.peers.items() if known.uri == uri]:
            if self._holds_shards(other):
                raise ServiceError(400, f"peer URI {uri} already used by peer {other} which still has shards")
            del self.peers[other]
        self.peers[peer] = Peer(uri=uri)

    def promote(self, *, peer: int) -> None:
        self.peers[peer].voter = True

    def remove_peer(self, *, peer: int, force: bool) -> None:
        if self._holds_shards(peer) and not force:
            raise ServiceError(400, f"Bad request: Cannot remove peer {peer} as there are shards on it")
        del self.peers[peer]
        for collection in self.collections.values():
            for shard in collection.held_by(peer):
                collection.forget(peer, shard)
                del collection.shards[shard][peer]

    def create(
        self, *, name: str, uid: str, params: dict[str, Any], placed: list[list[int]], sections: dict[str, Any]
    ) -> None:
        if name in self.collections or name in self.aliases:
            raise ServiceError(409, f"Wrong input: Collection `{name}` already exists!")
        shards = [dict.fromkeys(peers, "Initializing") for peers in placed]
        self.collections[name] = Collection(name=name, uid=uid, params=params, shards=shards, sections=sections)

    def patch(self, *, name: str, params: dict[str, Any], sections: dict[str, Any]) -> None:
        self.collection(name).params.update(params)  # a new replication_factor is written down and moves nothing
        self.collection(name).sections = sections

    def drop(self, *, name: str) -> None:
        self.collections.pop(name, None)
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != name}

    def alias(self, *, actions: list[dict[str, dict[str, str]]]) -> None:
        for action in actions:
            [(kind, names)] = action.items()
            if kind == "create_alias":
                self.aliases[names["alias_name"]] = self.collection(names["collection_name"]).name
            else:
                target = self.aliases.pop(names.get("old_alias_name") or names["alias_name"])
                self.aliases |= {names["new_alias_name"]: target} if kind == "rename_alias" else {}

    def index(self, *, name: str, key: str, kind: Any) -> None:
        indexes = self.collection(name).indexes
        indexes.pop(key, None)
        indexes |= {key: kind} if kind else {}

    def replica(self, *, name: str, shard: int, peer: int, state: str) -> None:
        collection = self.collection(name)
        if state == "Dead" and collection.active(shard) == [peer]:
            raise ServiceError(400, f"Cannot deactivate the last active replica {peer} of shard {shard}")
        if peer in collection.shards[shard] and (state == "Dead" or collection.shards[shard][peer] == "Initializing"):
            collection.shards[shard][peer] = state
            collection.forget(peer, shard)

    def transfer(self, *, name: str, **details: Any) -> None:
        collection, wanted = self.collection(name), Transfer(**details)
        active, busy = collection.active(wanted.shard), [(t.shard, t.target) for t in collection.transfers]
        possible = wanted.source in active and wanted.target not in active and wanted.target in self.peers
        if not possible or (wanted.shard, wanted.target) in busy:
            raise ServiceError(400, f"Bad request: impossible transfer {wanted!r}")
        collection.shards[wanted.shard][wanted.target] = "Partial"
        collection.transfers.append(wanted)

    def end_transfer(self, *, name: str, shard: int, source: int, target: int, complete: bool) -> None:
        collection = self.collection(name)
        ended = [t for t in collection.transfers if (t.shard, t.source, t.target) == (shard, source, target)]
        if not ended:
            raise ServiceError(400, f"Bad request: no transfer of shard {shard} from {source} to {target}")
        collection.forget(target, shard)
        collection.shards[shard][target] = "Active" if complete else "Dead"
        if not ended[0].sync:
            del collection.shards[shard][source if complete else target]

    def drop_replica(self, *, name: str, shard: int, peer: int) -> None:
        collection = self.collection(name)
        if set(collection.active(shard)) <= {peer}:
            raise ServiceError(400, f"Bad request: shard {shard} must keep an active replica beside that of {peer}")
        del collection.shards[shard][peer]
        collection.forget(peer, shard)
