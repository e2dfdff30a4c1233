"""Collections, replicas and peers over REST."""

import time
import uuid
from typing import Any

from sandbox.qdrant.metrics import VERSION
from sandbox.qdrant.rest import COLLECTION, Actions, Call
from sandbox.qdrant.wire import ServiceError

DEFAULTS = {"replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0}
OPTIMIZER = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0}
# Sections of a request that the stand-in stores and returns, without any effect.
SECTIONS = {
    "hnsw_config": HNSW,
    "optimizers_config": OPTIMIZER | {"flush_interval_sec": 5},
    "quantization_config": None,
    "strict_mode_config": None,
}


async def collection(call: Call) -> Any:
    found, points = call.collection, sum(await call.node.read(call.name, "count", {}))
    counts = {"points_count": points, "indexed_vectors_count": 0, "segments_count": len(found.shards)}
    config = {key.replace("optimizers", "optimizer"): found.sections.get(key, was) for key, was in SECTIONS.items()}
    config["params"] = found.params
    schema = {key: {**_index(kind), "points": points} for key, kind in found.indexes.items()}
    return {"status": "green", "optimizer_status": "ok", **counts, "config": config, "payload_schema": schema}


def _index(kind: Any) -> dict[str, Any]:
    return {"data_type": kind["type"], "params": kind} if isinstance(kind, dict) else {"data_type": kind}


async def create(call: Call) -> Any:
    """True when all replicas are active, and true all the same when the time is over and some are not."""
    deadline, metadata = time.monotonic() + call.seconds, call.node.metadata
    vectors, sparse = call.body.get("vectors") or {}, call.body.get("sparse_vectors") or {}
    if not vectors and not sparse:
        raise ServiceError(400, "Wrong input: this stand-in needs `vectors` or `sparse_vectors`")
    params: dict[str, Any] = {"vectors": vectors, "shard_number": len(metadata.peers)} | DEFAULTS
    params |= {"sparse_vectors": sparse} if sparse else {}
    params |= {key: value for key, value in call.body.items() if key in params and value is not None}
    placed = metadata.placed(params["shard_number"], params["replication_factor"])
    sections = _sections(call.body, {})
    await call.propose("create", name=call.name, uid=uuid.uuid4().hex, params=params, placed=placed, sections=sections)
    while time.monotonic() < deadline and {s for r in call.collection.shards for s in r.values()} != {"Active"}:
        await call.node.raft.news(0.1)
    return True


async def patch(call: Call) -> Any:
    changes = {k: v for k, v in (call.body.get("params") or {}).items() if k in DEFAULTS and v is not None}
    for kind in ("vectors", "sparse_vectors"):
        before = changes[kind] = dict(call.collection.params.get(kind) or {})
        for name, changed in (call.body.get(kind) or {}).items():
            before |= {name: before[name] | changed} if name else changed
    changes = {key: value for key, value in changes.items() if value != call.collection.params.get(key, {})}
    sections = _sections(call.body, call.collection.sections)
    return await call.propose("patch", name=call.name, params=changes, sections=sections)


def _sections(body: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    given = {key: body[key] for key in SECTIONS if body.get(key)}
    merged = {key: (before.get(key, SECTIONS[key]) or {}) | each for key, each in given.items() if each != "Disabled"}
    return before | merged | {key: None for key, each in given.items() if each == "Disabled"}


async def change_index(call: Call) -> Any:
    key, schema = call.path.get("key") or call.body["field_name"], call.body.get("field_schema")
    await call.propose("index", name=call.name, key=key, kind=schema)
    return call.done


def aliases(call: Call) -> Any:
    wanted, known = call.path.get("collection_name"), call.node.metadata.aliases
    return {"aliases": [{"alias_name": a, "collection_name": c} for a, c in known.items() if wanted in (None, c)]}


async def replicas(call: Call) -> Any:
    found, me, local, remote = call.collection, call.node.raft.me, [], []
    for n, peers in enumerate(found.shards):
        remote += [{"shard_id": n, "peer_id": peer, "state": state} for peer, state in peers.items() if peer != me]
    for n, state in found.held_by(me).items():
        points = (await call.node.local(found, n)).count({})
        local.append({"shard_id": n, "points_count": points, "state": state})
    names = {"shard": "shard_id", "source": "from", "target": "to", "sync": "sync", "method": "method"}
    transfers = [{names[k]: v for k, v in transfer.model_dump().items()} for transfer in found.transfers]
    shards = {"shard_count": len(found.shards), "local_shards": local, "remote_shards": remote}
    return {"peer_id": me, **shards, "shard_transfers": transfers}


async def change_replicas(call: Call) -> Any:
    """Only starts a transfer; its end shows in the collection's cluster info."""
    [(do, body)] = call.body.items()
    where = {"name": call.collection.name, "shard": body["shard_id"]}
    if do == "drop_replica":
        return await call.propose("drop_replica", **where, peer=body["peer_id"])
    ends = where | {"source": body["from_peer_id"], "target": body["to_peer_id"]}
    if do == "abort_transfer":
        return await call.propose("end_transfer", **ends, complete=False)
    if do not in ("replicate_shard", "move_shard") or ends["target"] in call.collection.shards[where["shard"]]:
        raise ServiceError(400, f"Bad request: {do} is unknown to this stand-in, or its target has the shard already")
    method = body.get("method") or "stream_records"
    return await call.propose("transfer", **ends, sync=do == "replicate_shard", method=method)


def cluster(call: Call) -> Any:
    raft = call.node.raft
    if not call.node.clustered:
        return {"status": "disabled"}
    updated = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(raft.updated))
    info = {"term": raft.term, "commit": raft.commit, "pending_operations": raft.last[1] - raft.commit}
    return {
        "status": "enabled",
        "peer_id": raft.me,
        "peers": {peer: {"uri": known.uri + "/"} for peer, known in raft.metadata.peers.items()},
        "raft_info": {**info, "leader": raft.leader or None, "role": raft.role, "is_voter": raft.is_voter},
        "consensus_thread_status": {"consensus_thread_status": "working", "last_update": updated},
        "message_send_failures": {uri + "/": failure for uri, failure in call.node.peers.failures.items()},
    }


READS: Actions = {
    "GET /cluster": cluster,
    "GET /collections": lambda call: {"collections": [{"name": name} for name in call.node.metadata.collections]},
    "GET /aliases": aliases,
    "GET /telemetry": lambda call: {"id": str(call.node.raft.me), "app": {"name": "qdrant", "version": VERSION}},
    f"GET {COLLECTION}": collection,
    f"GET {COLLECTION}/aliases": aliases,
    f"GET {COLLECTION}/cluster": replicas,
    f"GET {COLLECTION}/exists": lambda call: {
        "exists": call.name in call.node.metadata.collections or call.name in call.node.metadata.aliases
    },
}
WRITES: Actions = {
    "POST /cluster/recover": lambda call: True,  # each heartbeat brings peers that are behind up to date
    "DELETE /cluster/peer/{peer:int}": lambda call: call.propose(
        "remove_peer", peer=call.path["peer"], force=call.query.get("force") == "true"
    ),
    "POST /collections/aliases": lambda call: call.propose("alias", actions=call.body["actions"]),
    f"PUT {COLLECTION}": create,
    f"PATCH {COLLECTION}": patch,
    f"DELETE {COLLECTION}": lambda call: (
        call.name in call.node.metadata.collections and call.propose("drop", name=call.name)
    ),
    f"POST {COLLECTION}/cluster": change_replicas,
    f"PUT {COLLECTION}/index": change_index,
    f"DELETE {COLLECTION}/index/{{key}}": change_index,
}
