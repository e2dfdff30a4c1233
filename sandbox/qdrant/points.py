"""Points over REST: every shard is asked, and their answers become one."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from itertools import chain
from typing import Any

from node import shard_of
from rest import COLLECTION, COMPLETED, Call, route
from wire import Failure

POINTS = f"{COLLECTION}/points"
Point = dict[str, Any]


def _id(given: Any) -> int | str:
    try:
        return given if isinstance(given, int) and given >= 0 else str(uuid.UUID(given))
    except (ValueError, AttributeError) as error:
        text = f"value {given} is not a valid point ID, valid values are either an unsigned integer or a UUID"
        raise Failure(400, f"Format error in JSON body: {text}") from error


def _by_shard(call: Call, ids: list[Any]) -> dict[int, list[int | str]]:
    shards = len(call.node.metadata.collection(call.name).shards)
    sorted_out = defaultdict(list)
    for point in map(_id, ids):
        sorted_out[shard_of(point, shards)].append(point)
    return sorted_out


def _by_id(point: Point) -> tuple[bool, int | str]:
    return isinstance(point["id"], str), point["id"]


@route("POST", f"{POINTS}/query")
async def query(call: Call) -> Any:
    return {"points": await _query(call, call.body)}


@route("POST", f"{POINTS}/query/batch")
async def query_batch(call: Call) -> Any:
    return [{"points": p} for p in await asyncio.gather(*(_query(call, body) for body in call.body["searches"]))]


@route("POST", f"{POINTS}/search")
async def search(call: Call) -> Any:
    return await _query(call, _as_query(call.body))


@route("POST", f"{POINTS}/search/batch")
async def search_batch(call: Call) -> Any:
    return await asyncio.gather(*(_query(call, _as_query(body)) for body in call.body["searches"]))


def _as_query(body: dict[str, Any]) -> dict[str, Any]:
    vector = body["vector"]
    return body | ({"query": vector["vector"], "using": vector["name"]} if isinstance(vector, dict) else {"query": vector})


async def _query(call: Call, body: dict[str, Any]) -> list[Point]:
    if body.get("prefetch") or body.get("lookup_from"):
        raise Failure(400, "Bad request: this stand-in knows no prefetch and no lookup_from")
    body = await _with_vector(call, body)
    found = list(chain.from_iterable((await call.node.read(call.name, "query", body)).values()))
    if body["query"] is None:
        found.sort(key=_by_id)
    else:
        vectors = call.node.metadata.collection(call.name).params["vectors"]
        distance = vectors.get("distance") or vectors[body.get("using") or ""]["distance"]
        found.sort(key=lambda point: point["score"], reverse=distance in ("Cosine", "Dot"))
    start = body.get("offset") or 0
    return found[start : start + (body.get("limit") or 10)]


async def _with_vector(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The body with a vector for its query: a point's id stands for that point's vector, and leaves the point itself out."""
    asked = body.get("query")
    asked = asked.get("nearest") if isinstance(asked, dict) else asked
    if isinstance(asked, dict):
        raise Failure(400, "Bad request: this stand-in knows only nearest queries")
    if asked is None or isinstance(asked, list):
        return body | {"query": asked}
    [point] = await _retrieve(call, [asked], {"with_vector": True}) or [None]
    if point is None:
        raise Failure(404, f"Not found: No point with id {asked} found")
    vector = point["vector"][body["using"]] if body.get("using") else point["vector"]
    others = {"must": [body["filter"]] if body.get("filter") else [], "must_not": [{"has_id": [_id(asked)]}]}
    return body | {"query": vector, "filter": others}


@route("POST", POINTS)
async def retrieve(call: Call) -> Any:
    return await _retrieve(call, call.body["ids"], call.body)


@route("GET", POINTS + "/{id}")
async def point(call: Call) -> Any:
    asked = call.path["id"]
    found = await _retrieve(call, [int(asked) if asked.isdigit() else asked], {"with_vector": True})
    if not found:
        raise Failure(404, f"Not found: Point with id {asked} does not exists!")
    return found[0]


async def _retrieve(call: Call, ids: list[Any], body: dict[str, Any]) -> list[Point]:
    by_shard = _by_shard(call, ids)
    question = {**body, "ids": [_id(point) for point in ids]}
    answers = await call.node.read(call.name, "retrieve", question, by_shard)
    return list(chain.from_iterable(answers.values()))


@route("POST", f"{POINTS}/scroll")
async def scroll(call: Call) -> Any:
    if call.body.get("order_by"):
        raise Failure(400, "Bad request: this stand-in knows no order_by")
    pages = (await call.node.read(call.name, "scroll", call.body)).values()
    found, limit = sorted(chain.from_iterable(pages), key=_by_id), call.body.get("limit") or 10
    return {"points": found[:limit], "next_page_offset": found[limit]["id"] if len(found) > limit else None}


@route("POST", f"{POINTS}/count")
async def count(call: Call) -> Any:
    return {"count": sum((await call.node.read(call.name, "count", call.body)).values())}


@route("PUT", POINTS, writes=True)
async def upsert(call: Call) -> Any:
    points = call.body["points"] if "points" in call.body else _rows(call.body["batch"])
    by_id = {_id(point["id"]): point for point in points}
    changes = _by_shard(call, list(by_id))
    await call.node.write(call.name, {n: {"points": [by_id[i] | {"id": i} for i in ids]} for n, ids in changes.items()})
    return COMPLETED


def _rows(batch: dict[str, Any]) -> list[Point]:
    payloads = batch.get("payloads") or [None] * len(batch["ids"])
    columns = zip(batch["ids"], batch["vectors"], payloads, strict=True)
    return [{"id": i, "vector": vector, "payload": payload} for i, vector, payload in columns]


@route("POST", f"{POINTS}/delete", writes=True)
async def delete(call: Call) -> Any:
    if "filter" in call.body:
        shards = call.node.metadata.collection(call.name).shards
        await call.node.write(call.name, {n: {"delete_by": call.body["filter"]} for n in shards})
    else:
        changes = _by_shard(call, call.body["points"])
        await call.node.write(call.name, {n: {"delete": ids} for n, ids in changes.items()})
    return COMPLETED
