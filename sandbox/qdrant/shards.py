"""One shard on this node's disk: Qdrant's own shard engine (Qdrant Edge), spoken to in the words of the REST API."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from sandbox.qdrant.wire import ServiceError

MATCHES = {"value": edge.MatchValue, "any": edge.MatchAny, "except": edge.MatchExcept, "text": edge.MatchText}
FIELDS = ("id", "version", "score", "payload", "vector")
Body = dict[str, Any]


def _condition(body: Body) -> Any:
    match body:
        case {"is_empty": {"key": key}}:
            return edge.IsEmptyCondition(key)
        case {"has_id": ids}:
            return edge.HasIdCondition(set(ids))
        case {"key": key, "match": match} if not isinstance(match.get("value"), bool):  # the engine's binding loses it
            [(kind, value)] = match.items()
            return edge.FieldCondition(key, match=MATCHES[kind](value))
        case {"key": key, "range": limits}:
            dated = any(isinstance(limit, str) for limit in limits.values())
            return edge.FieldCondition(key, range=(edge.RangeDateTime if dated else edge.RangeFloat)(**limits))
        case {"must": _} | {"should": _} | {"must_not": _}:
            return _filter(body) or edge.Filter()
    raise ServiceError(400, f"Bad request: this stand-in knows no condition like {body}")


def _filter(body: Body | None) -> edge.Filter | None:
    groups = {k: v if isinstance(v, list) else [v] for k, v in (body or {}).items() if v}
    conditions: dict[str, Any] = {k: [_condition(each) for each in group] for k, group in groups.items()}
    return edge.Filter(**conditions) if conditions else None


def _wanted(body: Body, payload: bool = True) -> dict[str, Any]:
    wanted = body.get("with_payload")
    match wanted:
        case {"include": keys}:
            wanted = edge.PayloadSelector.Include(keys)
        case {"exclude": keys}:
            wanted = edge.PayloadSelector.Exclude(keys)
    return {"with_payload": payload if wanted is None else wanted, "with_vector": body.get("with_vector") or False}


def _plain(points: Iterable[Any]) -> list[Body]:
    found = [{name: v for name in FIELDS if (v := getattr(point, name, None)) is not None} for point in points]
    return [point | {"vector": _given(point["vector"])} if "vector" in point else point for point in found]


def _config(params: Body) -> edge.EdgeConfig:
    """One unnamed vector, or named ones, dense and sparse."""
    vectors, sparse = params["vectors"], params.get("sparse_vectors") or {}
    unnamed = isinstance(vectors.get("size"), int)
    return edge.EdgeConfig(
        vectors=_dense(vectors) if unnamed else {name: _dense(each) for name, each in vectors.items()},
        sparse_vectors={name: _sparse(each or {}) for name, each in sparse.items()},
        max_search_threads=1,
    )


def _dense(vector: Body) -> edge.EdgeVectorParams:
    many = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if vector.get("multivector_config") else None
    kind = str(vector.get("datatype") or "float32").capitalize()
    return edge.EdgeVectorParams(
        size=vector["size"],
        distance=getattr(edge.Distance, vector["distance"]),
        multivector_config=many,
        datatype=getattr(edge.VectorStorageDatatype, kind),
    )


def _sparse(vector: Body) -> edge.EdgeSparseVectorParams:
    return edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if vector.get("modifier") == "idf" else None)


def _taken(vector: Any) -> Any:
    """A vector as the engine takes it: a sparse one is `indices` and `values`."""
    if isinstance(vector, dict) and set(vector) == {"indices", "values"}:
        return edge.SparseVector(**vector)
    return {name: _taken(each) for name, each in vector.items()} if isinstance(vector, dict) else vector


def _given(vector: Any) -> Any:
    """A vector as the REST API gives it."""
    if isinstance(vector, edge.SparseVector):
        return {"indices": list(vector.indices), "values": list(vector.values)}
    return {name: _given(each) for name, each in vector.items()} if isinstance(vector, dict) else vector


class Shard:
    """What it has taken is in the engine's log, which the kernel keeps when the process is killed."""

    def __init__(self, folder: Path, params: Body) -> None:
        self.lock = asyncio.Lock()  # either a transfer moves a batch or an update is applied
        if (folder / "edge_config.json").exists():
            self._engine = edge.EdgeShard.load(str(folder))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._engine = edge.EdgeShard.create(str(folder), _config(params))
        self.flush, self.close = self._engine.flush, self._engine.close

    def do(self, kind: str, body: Any) -> Any:
        """One of the methods below; what the engine refuses is the caller's mistake."""
        try:
            return getattr(self, kind)(body)
        except ServiceError:
            raise
        except Exception as error:
            raise ServiceError(400, f"Wrong input: {error}") from error

    def upsert(self, points: list[Body]) -> None:
        made = [edge.Point(p["id"], _taken(p["vector"]), p.get("payload")) for p in points]
        self._engine.update(edge.UpdateOperation.upsert_points(made))

    def delete(self, body: Body) -> None:
        self._engine.update(edge.UpdateOperation.delete_points_by_filter(_filter(body) or edge.Filter()))

    def index(self, wanted: dict[str, Any]) -> None:
        """Makes the payload indexes those that are wanted."""
        have = self._engine.info().payload_schema
        for key in have.keys() - wanted.keys():
            self._engine.update(edge.UpdateOperation.delete_field_index(key))
        for key in wanted.keys() - have.keys():
            name = wanted[key]["type"] if isinstance(wanted[key], dict) else wanted[key]
            kind = getattr(edge.PayloadSchemaType, name.capitalize())
            self._engine.update(edge.UpdateOperation.create_field_index(key, kind))

    def query(self, body: Body) -> list[Body]:
        params, vector = body.get("params") or {}, body["query"]
        request = edge.QueryRequest(
            limit=body["limit"],
            query=None if vector is None else edge.Query.Nearest(_taken(vector), using=body.get("using")),
            filter=_filter(body.get("filter")),
            params=edge.SearchParams(hnsw_ef=params.get("hnsw_ef"), exact=bool(params.get("exact"))),
            score_threshold=body.get("score_threshold"),
            **_wanted(body, payload=False),
        )
        return _plain(self._engine.query(request))

    def scroll(self, body: Body) -> list[Body]:
        only = _filter(body.get("filter"))
        request = edge.ScrollRequest(offset=body.get("offset"), limit=body["limit"], filter=only, **_wanted(body))
        return _plain(self._engine.scroll(request)[0])

    def retrieve(self, body: Body) -> list[Body]:
        return _plain(self._engine.retrieve(body["ids"], **_wanted(body)))

    def count(self, body: Body) -> int:
        return self._engine.count(edge.CountRequest(filter=_filter(body.get("filter")), exact=True))

    def ids(self) -> list[int | str]:
        return [point["id"] for point in self.scroll({"limit": self.count({}) + 1, "with_payload": False})]
