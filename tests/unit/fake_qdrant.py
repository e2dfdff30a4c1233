"""A Qdrant cluster of this process, for what a real one gives a client seldom or never on demand."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from tests.unit.fake_points import FakePoints
from tests.unit.served import Answer, Asked, Silence, served

KEY = "k3y-that-may-write"
NAME, ALIAS = "docs", "served"
PEERS = (11, 12, 13)
PATH = re.compile(r"/collections/(?P<name>[^/]+)(/(?P<part>cluster|index|points)(/(?P<rest>.+))?)?")
Replicas = dict[int, dict[int, str]]  # shard -> peer -> state

# What becomes of a request to create a collection.
MADE, CUT_OFF, TOO_LATE, NEVER, REFUSED, RACED = "made", "cut off", "too late", "never", "refused", "raced"


# What becomes of a transfer.
WHOLE, FAILED, ENDLESS = "whole", "failed", "endless"


@dataclass
class Collection:
    """Its parameters, where its replicas really are, and which of them are on their way."""

    params: dict[str, Any]
    replicas: Replicas
    transfers: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)  # its sections, by their names in a request
    indexes: dict[str, Any] = field(default_factory=dict)
    points: FakePoints = field(default_factory=FakePoints)
    status: str = "green"

    @property
    def described(self) -> dict[str, Any]:
        config = {key.replace("optimizers", "optimizer"): value for key, value in self.config.items()}
        schema = {field: _schema(kind) for field, kind in self.indexes.items()}
        counts = {"status": self.status, "points_count": len(self.points.stored)}
        return counts | {"config": {"params": self.params, **config}, "payload_schema": schema}

    def change(self, body: dict[str, Any]) -> None:
        self.params |= body.get("params", {})
        for kind in ("vectors", "sparse_vectors"):
            for name, changed in body.get(kind, {}).items():
                kept = self.params[kind][name] if name else self.params[kind]
                kept |= changed
        for key, section in body.items():
            if key.endswith("_config"):
                self.config[key] = None if section == "Disabled" else {**(self.config.get(key) or {}), **section}


def _schema(kind: Any) -> dict[str, Any]:
    return {"data_type": kind["type"], "params": kind} if isinstance(kind, dict) else {"data_type": kind}


@dataclass
class FakeCluster:
    """Three nodes with one memory; what is set here is what they answer from the next request on.

    `creating` decides what a request to create does: MADE, made but the answer CUT OFF or TOO LATE (500), NEVER made
    (500), REFUSED (400), or RACED (409) by another client's, which fits unless `made_by_others` says differently.
    """

    collections: dict[str, Collection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    creating: str = MADE
    made_by_others: dict[str, Any] = field(default_factory=dict)
    replicas_made: int | None = None  # fewer than the parameters say, as when peers were missing at that moment
    first_state: str = "Active"
    looks_until_active: int = 0  # after so many looks at a collection's shards, its replicas are Active
    transfer: str = WHOLE  # WHOLE: Active after two looks; FAILED: Dead then; ENDLESS: never anything but Partial
    moves_refused: list[int] = field(default_factory=list)  # the next moves are answered with these, and not done
    moves_unheard: int = 0  # so many moves are done, and answered with 500 as if they were not
    down: set[int] = field(default_factory=set)  # nodes that do not answer
    looks_down: dict[int, int] = field(default_factory=dict)  # node -> looks at its shards that it leaves unanswered
    believed: dict[int, Replicas] = field(default_factory=dict)  # node -> where it believes replicas to be
    ignorant: set[int] = field(default_factory=set)  # nodes that answer 404 for every collection
    broken: dict[tuple[str, int], int] = field(default_factory=dict)  # collection and node -> status of its view
    looks_behind: dict[int, int] = field(default_factory=dict)  # node -> lists in which it still has what was dropped
    dropped: list[str] = field(default_factory=list)
    joined: int = 3  # the first so many nodes know each other; each of the rest knows only itself
    raft: dict[int, dict[str, Any]] = field(default_factory=dict)  # node -> what its raft says differently
    unsettled_looks: set[int] = field(default_factory=set)  # looks at /cluster that find operations pending
    looks: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(3), 0))  # node -> looks at /cluster
    changes: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path and body of all but GET
    urls: list[str] = field(default_factory=list)
    speed: float = 1  # of the fake clock that waits for it go by

    def add(self, name: str = NAME, *, physical: int | None = None, state: str = "Active", **params: Any) -> None:
        """A collection that was there before; `physical` replicas of each shard, whatever its parameters say."""
        made: dict[str, Any] = {
            "vectors": {"size": 4, "distance": "Cosine"},
            "shard_number": 2,
            "replication_factor": 2,
        }
        made |= {"write_consistency_factor": 1} | {key: value for key, value in params.items() if key[-7:] != "_config"}
        copies = min(physical or made["replication_factor"], len(PEERS))
        replicas = {
            shard: {PEERS[(shard + copy) % len(PEERS)]: state for copy in range(copies)}
            for shard in range(made["shard_number"])
        }
        config = {key: value for key, value in params.items() if key.endswith("_config")}
        self.collections[name] = Collection(params=made, replicas=replicas, config=config)

    def answer(self, node: int, asked: Asked) -> Answer:
        if node in self.down:
            raise Silence
        if asked.headers.get("api-key") != KEY:
            return Answer(401, "Must provide an API key or an Authorization bearer token")
        if asked.method != "GET" and "/points" not in asked.path:
            self.changes.append((asked.method, asked.path, asked.json if asked.body else None))
        whole: dict[str, Callable[[], Answer]] = {
            "/cluster": lambda: ok(self._cluster(node)),
            "/collections": lambda: ok({"collections": self._names(node)}),
            "/aliases": lambda: self._aliases(asked),
            "/collections/aliases": lambda: self._aliases(asked),
        }
        return whole[asked.path]() if asked.path in whole else self._of_collection(node, asked)

    def _names(self, node: int) -> list[dict[str, str]]:
        if node in self.ignorant:
            return []
        behind = bool(self.dropped) and self.looks_behind.get(node, 0) > 0
        if behind:
            self.looks_behind[node] -= 1
        return [{"name": name} for name in (*self.collections, *(self.dropped if behind else ()))]

    def _of_collection(self, node: int, asked: Asked) -> Answer:
        found = PATH.fullmatch(asked.path)
        assert found, asked.path
        name = self.aliases.get(unquote(found["name"]), unquote(found["name"]))
        if status := self.broken.get((name, node)):
            return error(status, "Service internal error")
        if found["part"] is None and asked.method in ("PUT", "DELETE"):
            return self._create(asked, name) if asked.method == "PUT" else self._drop(name)
        if name not in self.collections or node in self.ignorant:
            return error(404, f"Not found: Collection `{name}` doesn't exist!")
        part = found["part"] or "itself"
        answers = {"cluster": self._cluster_of, "index": self._index, "points": self._points, "itself": self._itself}
        return answers[part](node, asked, self.collections[name], found["rest"] or "")

    def _itself(self, _node: int, asked: Asked, found: Collection, _rest: str) -> Answer:
        if asked.method == "PATCH":
            found.change(asked.json)
        return ok(found.described)

    def _cluster_of(self, node: int, asked: Asked, found: Collection, _rest: str) -> Answer:
        return self._move(asked.json, found) if asked.method == "POST" else ok(self._whereabouts(node, found))

    def _index(self, _node: int, asked: Asked, found: Collection, rest: str) -> Answer:
        if asked.method == "DELETE":
            found.indexes.pop(rest, None)
        else:
            found.indexes[asked.json["field_name"]] = asked.json["field_schema"]
        return ok({"status": "completed"})

    def _points(self, _node: int, asked: Asked, found: Collection, rest: str) -> Answer:
        return ok(found.points.answer(asked, rest))

    def _drop(self, name: str) -> Answer:
        self.aliases = {alias: served for alias, served in self.aliases.items() if served != name}
        self.dropped.append(name)
        return ok(self.collections.pop(name, None) is not None)

    def _aliases(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            pairs = [{"alias_name": alias, "collection_name": served} for alias, served in self.aliases.items()]
            return ok({"aliases": pairs})
        for action in asked.json["actions"]:
            [(kind, names)] = action.items()
            self.aliases.pop(names["alias_name"], None)
            self.aliases |= {names["alias_name"]: names["collection_name"]} if kind == "create_alias" else {}
        return ok(True)

    def _create(self, asked: Asked, name: str) -> Answer:
        if name in self.collections:
            return error(409, f"Wrong input: Collection `{name}` already exists!")
        if self.creating == REFUSED:
            return error(400, "Wrong input: distance is unknown")
        if self.creating != NEVER:
            self.add(name, physical=self.replicas_made, state=self.first_state, **(asked.json | self.made_by_others))
        if self.creating == CUT_OFF:
            raise Silence
        if self.creating == RACED:
            return error(409, f"Wrong input: Collection `{name}` already exists!")
        if self.creating in (TOO_LATE, NEVER):
            return error(500, "Waiting for consensus operation commit failed. Timeout set at: 60 seconds")
        return ok(True)

    def _move(self, body: dict[str, Any], found: Collection) -> Answer:
        if self.moves_refused:
            return error(self.moves_refused.pop(0), "Service internal error: leader is not established within 10 secs")
        [(do, ends)] = body.items()
        replicas = found.replicas[ends["shard_id"]]
        if do == "drop_replica" and ends["peer_id"] not in replicas:
            return error(400, f"Bad request: Peer {ends['peer_id']} has no replica of shard {ends['shard_id']}")
        if do == "drop_replica":
            active = {peer for peer, state in replicas.items() if state == "Active"}
            assert active - {ends["peer_id"]}, "the provider must never ask for this"
            del replicas[ends["peer_id"]]
        else:
            self._transfer(do, ends["shard_id"], ends["from_peer_id"], ends["to_peer_id"], found)
        if self.moves_unheard:
            self.moves_unheard -= 1
            return error(500, "Waiting for consensus operation commit failed. Timeout set at: 30 seconds")
        return ok(True)

    def _transfer(self, do: str, shard: int, source: int, target: int, found: Collection) -> None:
        if do == "abort_transfer":
            found.transfers = [each for each in found.transfers if (each["shard_id"], each["to"]) != (shard, target)]
            found.replicas[shard][target] = "Dead"
        else:
            assert found.replicas[shard][source] == "Active"
            assert target not in found.replicas[shard]
            assert not found.transfers, "one transfer at a time"
            found.replicas[shard][target] = "Partial"
            found.transfers.append({"shard_id": shard, "from": source, "to": target, "sync": True, "looks": 6})

    def _move_on(self, found: Collection) -> None:
        """Each of three nodes looking twice is as long as a transfer takes."""
        for each in found.transfers if self.transfer != ENDLESS else ():
            each["looks"] -= 1
            if each["looks"] == 0:
                state = "Active" if self.transfer == WHOLE else "Dead"
                found.replicas[each["shard_id"]][each["to"]] = state
        found.transfers = [each for each in found.transfers if each["looks"]]

    def _whereabouts(self, node: int, found: Collection) -> dict[str, Any]:
        if self.looks_down.get(node, 0) > 0:
            self.looks_down[node] -= 1
            raise Silence
        if self.looks_until_active > 0:
            self.looks_until_active -= 1
            if self.looks_until_active == 0:
                found.replicas = {shard: dict.fromkeys(peers, "Active") for shard, peers in found.replicas.items()}
        local, remote = [], []
        for shard, peers in (found.replicas | self.believed.get(node, {})).items():
            for peer, state in peers.items():
                if peer == PEERS[node]:
                    local.append({"shard_id": shard, "points_count": 0, "state": state})
                else:
                    remote.append({"shard_id": shard, "peer_id": peer, "state": state})
        shards = {"shard_count": len(found.replicas), "local_shards": local, "remote_shards": remote}
        view = {"peer_id": PEERS[node], **shards, "shard_transfers": [*found.transfers]}
        self._move_on(found)
        return view

    def _cluster(self, node: int) -> dict[str, Any]:
        self.looks[node] += 1
        known = PEERS[: self.joined] if node < self.joined else (PEERS[node],)
        pending = int(self.looks[node] in self.unsettled_looks)
        raft = {"term": 3, "commit": 40, "leader": known[0], "role": "Follower", "is_voter": True}
        return {
            "status": "enabled",
            "peer_id": PEERS[node],
            "peers": {str(peer): {"uri": f"http://qdrant-{PEERS.index(peer)}:6335/"} for peer in known},
            "raft_info": raft | {"pending_operations": pending} | self.raft.get(node, {}),
        }


def ok(result: Any) -> Answer:
    return Answer(200, {"result": result, "status": "ok", "time": 0.001})


def error(status: int, message: str) -> Answer:
    return Answer(status, {"status": {"error": message}, "time": 0.001})


@contextmanager
def running_cluster() -> Iterator[FakeCluster]:
    """Three nodes, each at an address of its own."""
    cluster = FakeCluster()
    with ExitStack() as nodes:
        cluster.urls = [nodes.enter_context(served(partial(cluster.answer, node))) for node in range(len(PEERS))]
        yield cluster
