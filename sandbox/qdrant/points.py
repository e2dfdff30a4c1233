"""Points over REST: all shards are queried, and their answers merged."""

import asyncio
import uuid
import zlib
from collections import defaultdict
from itertools import chain
from typing import Any

from sandbox.qdrant.rest import POINTS, Actions, Call
from sandbox.qdrant.wire import ServiceError

Point = dict[str, Any]
WANTED = ("filter", "limit", "offset", "with_payload", "with_vector")
QUERY = ("query", "using", "params", "score_threshold", *WANTED)


def _known(body: dict[str, Any], *known: str) -> dict[str, Any]:
    """Refuses what would otherwise be ignored in silence."""
    if unknown := [key for key, value in body.items() if key not in known and value is not None]:
        raise ServiceError(400, f"Bad request: this stand-in knows no {unknown} here")
    return body


def _id(given: Any) -> int | str:
    try:
        return given if isinstance(given, int) and given >= 0 else str(uuid.UUID(given))
    except (ValueError, AttributeError) as error:
        text = f"value {given} is not a valid point ID, valid values are either an unsigned integer or a UUID"
        raise ServiceError(400, f"Format error in JSON body: {text}") from error


def _by_shard(call: Call, ids: list[Any]) -> dict[int, list[int | str]]:
    shards, found = len(call.collection.shards), defaultdict(list)
    for point in map(_id, ids):
        found[zlib.crc32(str(point).encode()) % shards].append(point)
    return found


def _by_id(point: Point) -> tuple[bool, int | str]:
    """Numbers before UUIDs, which are text from another node and not yet text from a shard of this one."""
    number = isinstance(point["id"], int)
    return not number, point["id"] if number else str(point["id"])


async def _query(call: Call, body: dict[str, Any]) -> list[Point]:
    wanted, start, limit = _known(body, *QUERY).get("query"), body.get("offset") or 0, body.get("limit") or 10
    wanted = _known(wanted, "nearest")["nearest"] if isinstance(wanted, dict) else wanted
    if isinstance(wanted, int | str):
        if not (points := await _retrieve(call, [wanted], {"with_vector": True})):
            raise ServiceError(404, f"Not found: No point with id {wanted} found")
        without = {"must": [body["filter"]] if body.get("filter") else [], "must_not": [{"has_id": [_id(wanted)]}]}
        vector, body = points[0]["vector"], body | {"filter": without}
        wanted = vector[body["using"]] if body.get("using") else vector
    question = body | {"query": wanted, "limit": start + limit}
    found = list(chain.from_iterable(await call.node.read(call.name, "query", question)))
    vectors = call.collection.params["vectors"]
    distance = vectors.get(body["using"], {}).get("distance", "Dot") if body.get("using") else vectors["distance"]
    sign = -1 if distance in ("Cosine", "Dot") else 1  # sparse vectors are compared by Dot
    found.sort(key=_by_id if wanted is None else lambda point: sign * point["score"])
    return found[start : start + limit]


async def query(call: Call) -> Any:
    return {"points": await _query(call, call.body)}


async def query_batch(call: Call) -> Any:
    return [{"points": points} for points in await asyncio.gather(*(_query(call, b) for b in call.body["searches"]))]


async def search(call: Call) -> Any:
    body = dict(call.body)
    return await _query(call, {"query": body.pop("vector"), **body})


async def _retrieve(call: Call, ids: list[Any], body: dict[str, Any]) -> list[Point]:
    question = body | {"ids": [_id(each) for each in ids]}
    return list(chain.from_iterable(await call.node.read(call.name, "retrieve", question, _by_shard(call, ids))))


async def retrieve(call: Call) -> Any:
    return await _retrieve(call, call.body["ids"], call.body)


async def point(call: Call) -> Any:
    wanted = call.path["id"]
    if found := await _retrieve(call, [int(wanted) if wanted.isdigit() else wanted], {"with_vector": True}):
        return found[0]
    raise ServiceError(404, f"Not found: Point with id {wanted} does not exists!")


async def scroll(call: Call) -> Any:
    limit = _known(call.body, *WANTED).get("limit") or 10
    pages = await call.node.read(call.name, "scroll", call.body | {"limit": limit + 1})
    found = sorted(chain.from_iterable(pages), key=_by_id)
    return {"points": found[:limit], "next_page_offset": found[limit]["id"] if len(found) > limit else None}


async def count(call: Call) -> Any:
    return {"count": sum(await call.node.read(call.name, "count", _known(call.body, "filter", "exact")))}


async def _write(call: Call, kind: str, bodies: dict[int, Any]) -> Any:
    await call.node.write(call.name, kind, bodies)
    return call.done


async def upsert(call: Call) -> Any:
    body = _known(call.body, "points", "batch")
    points = {_id(each["id"]): each for each in body.get("points") or _rows(**body["batch"])}
    ids = _by_shard(call, list(points))
    return await _write(call, "upsert", {n: [points[i] | {"id": i} for i in some] for n, some in ids.items()})


def _rows(ids: list[Any], vectors: list[Any], payloads: list[Any] | None = None) -> list[Point]:
    columns = zip(ids, vectors, payloads or [None] * len(ids), strict=True)
    return [{"id": i, "vector": vector, "payload": payload} for i, vector, payload in columns]


async def delete(call: Call) -> Any:
    if "filter" in _known(call.body, "filter", "points"):
        return await _write(call, "delete", dict.fromkeys(range(len(call.collection.shards)), call.body["filter"]))
    ids = _by_shard(call, call.body["points"])
    return await _write(call, "delete", {n: {"must": [{"has_id": some}]} for n, some in ids.items()})


READS: Actions = {
    f"POST {POINTS}/query": query,
    f"POST {POINTS}/query/batch": query_batch,
    f"POST {POINTS}/search": search,
    f"POST {POINTS}/scroll": scroll,
    f"POST {POINTS}/count": count,
    f"POST {POINTS}": retrieve,
    f"GET {POINTS}/{{id}}": point,
}
WRITES: Actions = {f"PUT {POINTS}": upsert, f"POST {POINTS}/delete": delete}
