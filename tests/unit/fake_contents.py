"""A Qdrant cluster of this process that holds points: each node has copies of its own, which a test can spoil."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from ops.daytwo.running import Running
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, Silence, served

KEY = "k3y-that-may-write"
PEERS = (11, 12, 13)
ROUTE = re.compile(
    r"/collections/(?P<name>[^/]+)(?P<rest>/(cluster|index|points(/\w+)?|snapshots|shards/\d+/snapshots(/[^/]+)?))?"
)
Points = dict[Any, dict[str, Any]]


def order(point: Any) -> tuple[bool, Any]:
    return isinstance(point, str), point


@dataclass
class Held:
    """One collection: shard -> node -> that node's copy; and the state of each."""

    config: dict[str, Any]
    copies: list[dict[int, Points]]
    states: list[dict[int, str]]
    schema: dict[str, Any] = field(default_factory=dict)
    keys: dict[int, Any] = field(default_factory=dict)  # shard -> its key, with custom sharding
    resharding: list[Any] = field(default_factory=list)

    def add_key(self, key: Any, shards: int, nodes: list[int]) -> None:
        """The next shards, numbered from 1 as Qdrant does."""
        for _ in range(shards):
            self.keys[len(self.copies)] = key
            self.copies.append({node: {} for node in nodes})
            self.states.append(dict.fromkeys(nodes, "Active"))


@dataclass
class FakeContents:
    """Three nodes (one is a single node, without a cluster); what is set here is what they answer from then on."""

    version: str = "1.19.2"
    nodes: int = 3
    collections: dict[str, Held] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    alias_calls: list[list[dict[str, Any]]] = field(default_factory=list)
    snapshots: dict[str, str] = field(default_factory=dict)
    deaf: set[int] = field(default_factory=set)  # nodes that do not answer
    damaged: bool = False  # a snapshot changes on its way to the client
    refused: list[int] = field(default_factory=list)  # statuses of the next writes of points
    strict: dict[str, Any] = field(default_factory=dict)  # limits of a strict mode
    before_write: Callable[[], None] = lambda: None
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of all but reads
    encodings: set[str] = field(default_factory=set)  # that callers take their answers in: Qdrant uses what it may
    peers: dict[int, int] = field(default_factory=dict)  # who is a member: peer id -> node
    leaderless_looks: int = 0  # at /cluster, before there is a leader again
    removals_refused: list[int] = field(default_factory=list)  # statuses of the next removals of a peer
    removals: list[tuple[int, bool]] = field(default_factory=list)  # peer, by force
    urls: list[str] = field(default_factory=list)
    time: FakeTime = field(default_factory=FakeTime)

    def __post_init__(self) -> None:
        self.peers = {PEERS[node]: node for node in range(self.nodes)}

    @property
    def running(self) -> Running:
        return Running(node_urls=tuple(self.urls), api_key=KEY, clock=self.time.clock)

    def add(self, name: str, points: int = 0, *, shards: int = 2, factor: int = 2, **params: Any) -> Held:
        config = {"vectors": {"size": 4, "distance": "Cosine"}, "shard_number": shards}
        config |= {"replication_factor": min(factor, self.nodes), "write_consistency_factor": 1} | params
        self._make(name, config)
        return self.write(name, [point(i) for i in range(points)])

    def _make(self, name: str, params: dict[str, Any]) -> Held:
        where: list[list[int]] = (
            [[]]
            if params.get("sharding_method") == "custom"
            else [
                [(s + c) % self.nodes for c in range(params["replication_factor"])]
                for s in range(params["shard_number"])
            ]
        )
        copies: list[dict[int, Points]] = [{node: {} for node in nodes} for nodes in where]
        states = [dict.fromkeys(nodes, "Active") for nodes in where]
        config = {"params": params, "hnsw_config": {"m": 16}, "optimizer_config": {"flush_interval_sec": 5}}
        self.collections[name] = Held(config=config, copies=copies, states=states)
        return self.collections[name]

    def write(self, name: str, points: list[dict[str, Any]]) -> Held:
        held = self.collections[name]
        for each in points:
            for copy in held.copies[shard_of(each["id"], held)].values():
                copy[each["id"]] = each
        return held

    def lose(self, name: str, point_id: Any, node: int) -> None:
        """Let one node's copy lack a point."""
        del self._copy(name, point_id)[node][point_id]

    def change(self, name: str, point_id: Any, node: int, **otherwise: Any) -> None:
        """Let one node's copy have a point otherwise."""
        copy = self._copy(name, point_id)[node]
        copy[point_id] = copy[point_id] | otherwise

    def holder(self, name: str, point_id: Any) -> int:
        return next(iter(self._copy(name, point_id)))

    def _copy(self, name: str, point_id: Any) -> dict[int, Points]:
        held = self.collections[name]
        return held.copies[shard_of(point_id, held)]

    def answer(self, node: int, asked: Asked) -> Answer:
        if node in self.deaf:
            raise Silence
        if asked.headers.get("api-key") != KEY:
            return Answer(401, "Must provide an API key or an Authorization bearer token")
        self.encodings.add(asked.headers.get("accept-encoding", ""))
        reads = asked.method == "GET" or asked.path.endswith(("/scroll", "/count", "/points"))
        if not reads or asked.method in ("PUT", "DELETE"):
            self.asked.append((asked.method, asked.path))
        return self._root(node, asked) or self._collection(node, asked)

    def _root(self, node: int, asked: Asked) -> Answer | None:
        aliases = [{"alias_name": alias, "collection_name": name} for alias, name in self.aliases.items()]
        responses: dict[str, Callable[[], Answer]] = {
            "/": lambda: Answer(200, {"title": "qdrant", "version": self.version}),
            "/cluster": lambda: ok(self._cluster(node)),
            "/collections": lambda: ok({"collections": [{"name": name} for name in self.collections]}),
            "/aliases": lambda: ok({"aliases": aliases}),
        }
        if asked.path == "/collections/aliases":
            return self._point_aliases(asked.json["actions"])
        if asked.path.startswith("/cluster/peer/"):
            return self._remove(int(asked.path.rpartition("/")[2]), asked.query["force"] == ["true"])
        return responses[asked.path]() if asked.path in responses else None

    def _remove(self, peer: int, force: bool) -> Answer:
        if self.removals_refused:
            return refused(self.removals_refused.pop(0), "leader is not established within 10 secs")
        node = self.peers[peer]
        if not force and any(node in copies for held in self.collections.values() for copies in held.copies):
            return refused(400, f"Cannot remove peer {peer} as there are shards on it")
        self.removals.append((peer, force))
        del self.peers[peer]
        for held in self.collections.values():
            for copies, states in zip(held.copies, held.states, strict=True):
                copies.pop(node, None)
                states.pop(node, None)
        return ok(True)

    def _cluster(self, node: int) -> dict[str, Any]:
        living = [peer for peer, at in self.peers.items() if at not in self.deaf]
        self.leaderless_looks -= 1
        leader = living[0] if self.leaderless_looks < 0 else None
        raft = {"term": 1, "commit": 9, "leader": leader, "is_voter": True, "pending_operations": 0}
        peers = {str(peer): {"uri": f"http://qdrant-{at}:6335/"} for peer, at in self.peers.items()}
        return {"peer_id": PEERS[node], "peers": peers, "raft_info": raft | {"role": "Follower"}}

    def _point_aliases(self, actions: list[dict[str, Any]]) -> Answer:
        self.alias_calls.append(actions)
        for action in actions:
            if "delete_alias" in action:
                del self.aliases[action["delete_alias"]["alias_name"]]
            else:
                made = action["create_alias"]
                self.aliases[made["alias_name"]] = made["collection_name"]
        return ok(True)

    def _collection(self, node: int, asked: Asked) -> Answer:
        found = ROUTE.fullmatch(asked.path)
        assert found, asked.path
        name, rest = self.aliases.get(unquote(found["name"]), unquote(found["name"])), found["rest"] or ""
        if asked.method == "PUT" and not rest:
            self._make(name, {k: v for k, v in asked.json.items() if not k.endswith("_config")})
            return ok(True)
        if name not in self.collections:
            return refused(404, f"Not found: Collection `{name}` doesn't exist!")
        if rest.startswith("/points"):
            return self._points(node, asked, self.collections[name], name)
        if "snapshots" in rest:
            return self._snapshot(node, asked, self.collections[name], rest)
        return self._describe(node, asked, self.collections[name], name, rest)

    def _describe(self, node: int, asked: Asked, held: Held, name: str, rest: str) -> Answer:
        match asked.method, rest:
            case "GET", "/cluster":
                return ok(self._whereabouts(node, held))
            case "POST", "/cluster":
                made = asked.json["create_sharding_key"]
                held.add_key(made["shard_key"], made["shards_number"], list(range(made["replication_factor"])))
            case "PUT", "/index":
                held.schema[asked.json["field_name"]] = {"data_type": asked.json["field_schema"], "points": 0}
            case "DELETE", "":
                del self.collections[name]
            case "GET", "":
                return ok({"status": "green", "config": held.config, "payload_schema": held.schema})
        return ok(True)

    def _whereabouts(self, node: int, held: Held) -> dict[str, Any]:
        local, remote = [], []
        for shard, states in enumerate(held.states):
            key = {"shard_key": held.keys[shard]} if shard in held.keys else {}
            for at, state in states.items():
                if at == node:
                    points = len(held.copies[shard][node])
                    local.append({"shard_id": shard, "points_count": points, "state": state} | key)
                else:
                    remote.append({"shard_id": shard, "peer_id": PEERS[at], "state": state} | key)
        shards = {"local_shards": local, "remote_shards": remote, "resharding_operations": held.resharding}
        return {"peer_id": PEERS[node], "shard_transfers": []} | shards

    def _observed(self, node: int, held: Held) -> Points:
        """What the node answers from: its own copy where it has one, else another's."""
        there = [copies.get(node) or next(iter(copies.values())) for copies in held.copies if copies]
        return {i: p for copies in there for i, p in copies.items()}

    def _points(self, node: int, asked: Asked, held: Held, name: str) -> Answer:
        observed, body = self._observed(node, held), asked.json
        asks, limits = len(body.get("points") or []), self.strict
        if body.get("limit", 0) > limits.get("max_query_limit", 9999) or asks > limits.get(
            "upsert_max_batchsize", 9999
        ):
            return refused(400, "Limit exceeded")
        if asked.path.endswith("/count"):
            return ok({"count": len(observed)})
        if asked.path.endswith("/scroll"):
            ids = [
                i for i in sorted(observed, key=order) if body["offset"] is None or order(i) >= order(body["offset"])
            ]
            page, rest = ids[: body["limit"]], ids[body["limit"] :]
            return ok({"points": [observed[i] for i in page], "next_page_offset": rest[0] if rest else None})
        if asked.method == "POST" and asked.path.endswith("/points"):
            return ok([observed[i] for i in body["ids"] if i in observed])
        if self.refused:
            return refused(self.refused.pop(0), "Service internal error")
        self.before_write()
        if asked.path.endswith("/delete"):
            for copies in held.copies:
                for copy in copies.values():
                    for gone in body["points"]:
                        copy.pop(gone, None)
        else:
            self.write(name, body["points"])
        return ok({"status": "completed"})

    def _snapshot(self, node: int, asked: Asked, held: Held, rest: str) -> Answer:
        if rest == "/snapshots":
            self.snapshots["whole"] = json.dumps(list(self._observed(node, held).values()))
            return ok({"name": "whole", "size": len(self.snapshots["whole"])})
        shard, last = int(rest.split("/")[2]), rest.rpartition("/")[2]
        if last == "upload":
            content = asked.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
            assert hashlib.sha256(content).hexdigest() == asked.query["checksum"][0]
            assert asked.query["priority"] == ["snapshot"]
            for at in held.copies[shard]:
                held.copies[shard][at] = {each["id"]: each for each in json.loads(content)}
        elif asked.method == "POST":
            name = f"{asked.path.split('/')[2]}-{shard}"
            self.snapshots[name] = text = json.dumps(list(held.copies[shard][node].values()))
            return ok({"name": name, "size": len(text), "checksum": hashlib.sha256(text.encode()).hexdigest()})
        elif asked.method == "DELETE":
            del self.snapshots[last]
        else:
            return Answer(200, self.snapshots[last] + (" " if self.damaged else ""))
        return ok(True)


def shard_of(point_id: Any, held: Held) -> int:
    return zlib.crc32(str(point_id).encode()) % len(held.copies)


def point(number: Any, **payload: Any) -> dict[str, Any]:
    """A point whose vector has length 1."""
    return {"id": number, "vector": [0.6, 0.8, 0.0, 0.0], "payload": {"n": str(number)} | payload}


def ok(result: Any) -> Answer:
    return Answer(200, {"result": result, "status": "ok", "time": 0.001})


def refused(status: int, message: str) -> Answer:
    return Answer(status, {"status": {"error": message}, "time": 0.001})


@contextmanager
def contents(nodes: int = 3) -> Iterator[FakeContents]:
    """Nodes, each at an address of its own."""
    fake = FakeContents(nodes=nodes)
    with ExitStack() as stack:
        fake.urls = [stack.enter_context(served(partial(fake.answer, node))) for node in range(nodes)]
        yield fake
