"""Collections, replicas and peers over REST."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from metadata import Collection
from metrics import VERSION
from rest import COLLECTION, COMPLETED, Call, route
from wire import Failure

DEFAULTS = {"replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
PARAMS = ("vectors", "shard_number", "replication_factor", "write_consistency_factor", "read_fan_out_factor", "on_disk_payload")
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False}
OPTIMIZER = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0, "flush_interval_sec": 5}
WAL = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}


async def _propose(call: Call, do: str, **arguments: Any) -> bool:
    await call.node.raft.propose({"do": do, **arguments}, call.seconds)
    return True


def _collection(call: Call) -> Collection:
    return call.node.metadata.collection(call.name)


@route("GET", "/collections")
async def collections(call: Call) -> Any:
    return {"collections": [{"name": name} for name in call.node.metadata.collections]}


@route("GET", COLLECTION)
async def collection(call: Call) -> Any:
    found = _collection(call)
    points = sum((await call.node.read(call.name, "count", {})).values())
    return {
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": 0,
        "points_count": points,
        "segments_count": len(found.shards),
        "config": {"params": found.params, "hnsw_config": HNSW, "optimizer_config": OPTIMIZER, "wal_config": WAL},
        "payload_schema": {key: {"data_type": kind, "points": points} for key, kind in found.schema.items()},
    }


@route("PUT", COLLECTION, writes=True)
async def create(call: Call) -> Any:
    """Answers when every replica is active, or true all the same when the time is over."""
    deadline = time.monotonic() + call.seconds
    metadata, asked = call.node.metadata, {k: v for k in PARAMS if (v := call.body.get(k)) is not None}
    if not asked.get("vectors"):
        raise Failure(400, "Wrong input: this stand-in needs dense `vectors`")
    params = DEFAULTS | {"shard_number": len(metadata.peers)} | asked
    placed = metadata.place(params["shard_number"], params["replication_factor"])
    await _propose(call, "create", name=call.name, uid=uuid.uuid4().hex, params=params, replicas=placed)
    shards = _collection(call).shards
    while time.monotonic() < deadline and any(state != "Active" for r in shards.values() for state in r.values()):
        await asyncio.sleep(0.02)
    return True


@route("PATCH", COLLECTION, writes=True)
async def patch(call: Call) -> Any:
    _collection(call)
    params = {k: v for k, v in (call.body.get("params") or {}).items() if k in PARAMS[2:] and v is not None}
    return await _propose(call, "patch", name=call.name, params=params)


@route("DELETE", COLLECTION, writes=True)
async def drop(call: Call) -> Any:
    return call.name in call.node.metadata.collections and await _propose(call, "drop", name=call.name)


@route("GET", f"{COLLECTION}/exists")
async def exists(call: Call) -> Any:
    metadata = call.node.metadata
    return {"exists": call.name in metadata.collections or call.name in metadata.aliases}


@route("GET", "/aliases")
@route("GET", f"{COLLECTION}/aliases")
async def aliases(call: Call) -> Any:
    wanted = call.path.get("collection_name")
    pairs = [(a, c) for a, c in call.node.metadata.aliases.items() if wanted in (None, c)]
    return {"aliases": [{"alias_name": alias, "collection_name": name} for alias, name in pairs]}


@route("POST", "/collections/aliases", writes=True)
async def change_aliases(call: Call) -> Any:
    return await _propose(call, "alias", actions=call.body["actions"])


@route("PUT", f"{COLLECTION}/index", writes=True)
async def make_index(call: Call) -> Any:
    schema = call.body.get("field_schema") or call.body["field_type"]
    kind = schema["type"] if isinstance(schema, dict) else schema
    await _propose(call, "index", name=_collection(call).name, key=call.body["field_name"], schema=kind)
    return COMPLETED


@route("DELETE", COLLECTION + "/index/{key}", writes=True)
async def drop_index(call: Call) -> Any:
    await _propose(call, "index", name=_collection(call).name, key=call.path["key"], schema=None)
    return COMPLETED


@route("GET", f"{COLLECTION}/cluster")
async def collection_cluster(call: Call) -> Any:
    found, me = _collection(call), call.node.me
    here = {n: await call.node.local(found, n) for n, replicas in found.shards.items() if me in replicas}
    replicas = [(n, peer, state) for n, replicas in found.shards.items() for peer, state in replicas.items()]
    return {
        "peer_id": me,
        "shard_count": len(found.shards),
        "local_shards": [
            {"shard_id": n, "points_count": here[n].count({}), "state": state} for n, peer, state in replicas if peer == me
        ],
        "remote_shards": [{"shard_id": n, "peer_id": peer, "state": state} for n, peer, state in replicas if peer != me],
        "shard_transfers": [
            {"shard_id": t.shard, "from": t.source, "to": t.target, "sync": t.sync, "method": t.method}
            for t in found.transfers
        ],
    }


@route("POST", f"{COLLECTION}/cluster", writes=True)
async def change_cluster(call: Call) -> Any:
    """Only starts a transfer; whoever wants to know its end asks again."""
    found = _collection(call)
    [(do, body)] = call.body.items()
    ends = {"name": found.name, "shard": body["shard_id"]}
    if do == "drop_replica":
        return await _propose(call, "drop_replica", **ends, peer=body["peer_id"])
    ends |= {"source": body["from_peer_id"], "target": body["to_peer_id"]}
    if do == "abort_transfer":
        return await _propose(call, "end_transfer", **ends, done=False)
    if do not in ("replicate_shard", "move_shard"):
        raise Failure(400, f"Bad request: this stand-in knows no {do}")
    if ends["target"] in found.shards[ends["shard"]]:
        raise Failure(400, f"Bad request: Shard {ends['shard']} is already on peer {ends['target']}")
    method = body.get("method") or "stream_records"
    return await _propose(call, "start_transfer", **ends, sync=do == "replicate_shard", method=method)


@route("GET", "/cluster")
async def cluster(call: Call) -> Any:
    raft, failures = call.node.raft, call.node.peers.failures
    info = {"term": raft.term, "commit": raft.commit, "pending_operations": len(raft.log) - raft.commit}
    info |= {"leader": raft.leader, "role": raft.role, "is_voter": raft.is_voter}
    seen = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(raft.updated))
    return {
        "status": "enabled",
        "peer_id": raft.me,
        "peers": {peer: {"uri": known.uri + "/"} for peer, known in call.node.metadata.peers.items()},
        "raft_info": info,
        "consensus_thread_status": {"consensus_thread_status": "working", "last_update": seen},
        "message_send_failures": {uri + "/": failure for uri, failure in failures.items()},
    }


@route("POST", "/cluster/recover", writes=True)
async def recover(call: Call) -> Any:
    return True  # the leader sends what is missing with every heartbeat anyway


@route("DELETE", "/cluster/peer/{peer:int}", writes=True)
async def remove_peer(call: Call) -> Any:
    return await _propose(call, "remove_peer", peer=call.path["peer"], force=call.query.get("force") == "true")


@route("GET", "/telemetry")
async def telemetry(call: Call) -> Any:
    known = {"enabled": True, "status": {"number_of_peers": len(call.node.metadata.peers)}}
    collections = {"number_of_collections": len(call.node.metadata.collections)}
    return {"id": str(call.node.me), "app": {"name": "qdrant", "version": VERSION}, "collections": collections, "cluster": known}
