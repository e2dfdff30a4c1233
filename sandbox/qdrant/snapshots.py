"""Snapshots over REST: a shard's points as JSON, which only another stand-in takes over (real ones are archives)."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import orjson

from sandbox.qdrant.rest import COLLECTION, Actions, Call
from sandbox.qdrant.shards import Shard
from sandbox.qdrant.wire import ServiceError

SHARD = f"{COLLECTION}/shards/{{shard:int}}/snapshots"
BATCH = 500


async def _shard(call: Call) -> Shard:
    if call.path["shard"] not in call.collection.held_by(call.node.raft.me):
        raise ServiceError(404, f"Not found: Shard {call.path['shard']} is not on peer {call.node.raft.me}")
    return await call.node.local(call.collection, call.path["shard"])


def _file(call: Call) -> Path:
    return call.node.snapshots / call.collection.uid / str(call.path["shard"]) / Path(call.path["snapshot"]).name


def _keep(file: Path, shards: list[list[Any]]) -> dict[str, Any]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content := orjson.dumps(shards))
    return {"name": file.name, "size": len(content), "checksum": hashlib.sha256(content).hexdigest()}


async def create(call: Call) -> Any:
    shard = await _shard(call)
    call.path["snapshot"] = f"{call.name}-shard-{call.path['shard']}-{time.time_ns()}.snapshot"
    async with shard.lock:
        points = await asyncio.to_thread(lambda: shard.retrieve({"ids": shard.ids(), "with_vector": True}))
    return await asyncio.to_thread(_keep, _file(call), [points])


async def create_of_all(call: Call) -> Any:
    mine = [await call.node.local(call.collection, n) for n in call.collection.held_by(call.node.raft.me)]
    points = [shard.retrieve({"ids": shard.ids(), "with_vector": True}) for shard in mine]
    file = call.node.snapshots / call.collection.uid / f"{call.name}-{time.time_ns()}.snapshot"
    return await asyncio.to_thread(_keep, file, points)


def download(call: Call) -> bytes:
    if not (file := _file(call)).exists():
        raise ServiceError(404, f"Not found: Snapshot {file.name} not found")
    return file.read_bytes()


def delete(call: Call) -> bool:
    download(call)
    _file(call).unlink()
    return True


async def upload(call: Call) -> bool:
    """Takes a snapshot over; with the priority `snapshot` the other copies are declared dead, and recover from it."""
    content = call.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    if (found := hashlib.sha256(content).hexdigest()) != call.query.get("checksum", found):
        raise ServiceError(400, f"Wrong input: Snapshot checksum mismatch: expected {call.query['checksum']}, {found}")
    shard, points = await _shard(call), [point for points in orjson.loads(content) for point in points]
    async with shard.lock:
        shard.do("delete", {})
        for start in range(0, len(points), BATCH):
            await asyncio.to_thread(shard.do, "upsert", points[start : start + BATCH])
    me, where = call.node.raft.me, {"name": call.collection.name, "shard": call.path["shard"]}
    for peer in (
        call.collection.active(call.path["shard"]) if call.query.get("priority", "snapshot") == "snapshot" else []
    ):
        if peer != me:
            await call.propose("replica", **where, peer=peer, state="Dead")
    return True


READS: Actions = {f"GET {SHARD}/{{snapshot}}": download}
WRITES: Actions = {
    f"POST {SHARD}": create,
    f"POST {SHARD}/upload": upload,
    f"DELETE {SHARD}/{{snapshot}}": delete,
    f"POST {COLLECTION}/snapshots": create_of_all,
}
