"""One shard on this node's disk: Qdrant's own shard engine (Qdrant Edge), spoken to in the words of the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from wire import Failure

MATCHES = {
    "value": edge.MatchValue,
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
    "any": edge.MatchAny,
    "except": edge.MatchExcept,
}


def _condition(found: dict[str, Any]) -> edge.ConditionType:
    match found:
        case {"is_empty": {"key": key}}:
            return edge.IsEmptyCondition(key)
        case {"is_null": {"key": key}}:
            return edge.IsNullCondition(key)
        case {"has_id": ids}:
            return edge.HasIdCondition(set(ids))
        case {"nested": {"key": key, "filter": nested}}:
            return edge.NestedCondition(key, _filter(nested) or edge.Filter())
        case {"key": key, "match": match}:
            (kind, value), *_ = match.items()
            return edge.FieldCondition(key, match=MATCHES[kind](value))
        case {"key": key, "range": limits}:
            dated = any(isinstance(limit, str) for limit in limits.values())
            return edge.FieldCondition(key, range=(edge.RangeDateTime if dated else edge.RangeFloat)(**limits))
        case {"key": key, "values_count": limits}:
            return edge.FieldCondition(key, values_count=edge.ValuesCount(**limits))
        case {"must": _} | {"should": _} | {"must_not": _}:
            return _filter(found) or edge.Filter()
    raise Failure(400, f"Bad request: this stand-in knows no condition {sorted(found)}")


def _filter(body: dict[str, Any] | None) -> edge.Filter | None:
    groups = {k: v if isinstance(v, list) else [v] for k, v in (body or {}).items() if v}
    return edge.Filter(**{k: [_condition(c) for c in group] for k, group in groups.items()}) if groups else None


def _payload(wanted: Any) -> Any:
    match wanted:
        case {"include": keys}:
            return edge.PayloadSelector.Include(keys)
        case {"exclude": keys}:
            return edge.PayloadSelector.Exclude(keys)
    return wanted


def _plain(points: Iterable[Any]) -> list[dict[str, Any]]:
    names = ("id", "version", "score", "payload", "vector", "order_value")
    return [{n: v for n in names if (v := getattr(point, n, None)) is not None} for point in points]


class Shard:
    """Acknowledged means written to the engine's log, which the kernel keeps when the process is killed."""

    def __init__(self, folder: Path, vectors: dict[str, Any]) -> None:
        self.lock = asyncio.Lock()  # a transfer moves a batch, or an update is applied, never both
        if (folder / "edge_config.json").exists():
            self._shard = edge.EdgeShard.load(str(folder))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=_vectors(vectors)))
        self.flush, self.close = self._shard.flush, self._shard.close

    def update(self, change: dict[str, Any]) -> None:
        operations = edge.UpdateOperation
        match change:
            case {"points": points}:
                made = [edge.Point(p["id"], p["vector"], p.get("payload")) for p in points]
                self._shard.update(operations.upsert_points(made))
            case {"delete": ids}:
                self._shard.update(operations.delete_points(ids))
            case {"delete_by": body}:
                self._shard.update(operations.delete_points_by_filter(_filter(body) or edge.Filter()))
            case {"payload": payload, "ids": ids}:
                self._shard.update(operations.set_payload(ids, payload))
            case {"only": ids}:
                others = edge.Filter(must_not=[edge.HasIdCondition(set(ids))])
                self._shard.update(operations.delete_points_by_filter(others))

    def index(self, schema: dict[str, str]) -> None:
        """Makes the payload indexes those of `schema`."""
        have = self._shard.info().payload_schema
        for key in have.keys() - schema.keys():
            self._shard.update(edge.UpdateOperation.delete_field_index(key))
        for key in schema.keys() - have.keys():
            kind = getattr(edge.PayloadSchemaType, schema[key].capitalize())
            self._shard.update(edge.UpdateOperation.create_field_index(key, kind))

    def query(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        vector = body.get("query")
        params = body.get("params") or {}
        request = edge.QueryRequest(
            limit=body.get("limit", 10) + body.get("offset", 0),
            query=None if vector is None else edge.Query.Nearest(vector, body.get("using")),
            filter=_filter(body.get("filter")),
            params=edge.SearchParams(hnsw_ef=params.get("hnsw_ef"), exact=bool(params.get("exact"))),
            score_threshold=body.get("score_threshold"),
            with_payload=_payload(body.get("with_payload", False)),
            with_vector=body.get("with_vector", False),
        )
        return _plain(self._shard.query(request))

    def scroll(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        request = edge.ScrollRequest(
            offset=body.get("offset"),
            limit=body.get("limit", 10) + 1,  # the one too many is where the next page starts
            filter=_filter(body.get("filter")),
            with_payload=_payload(body.get("with_payload", True)),
            with_vector=body.get("with_vector", False),
        )
        return _plain(self._shard.scroll(request)[0])

    def retrieve(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = _payload(body.get("with_payload", True))
        return _plain(self._shard.retrieve(body["ids"], wanted, body.get("with_vector", False)))

    def count(self, body: dict[str, Any]) -> int:
        return self._shard.count(edge.CountRequest(filter=_filter(body.get("filter")), exact=True))

    def read(self, kind: str, body: dict[str, Any]) -> Any:
        """One of query, scroll, retrieve and count; what the engine refuses is the caller's mistake."""
        try:
            return getattr(self, kind)(body)
        except Failure:
            raise
        except Exception as error:
            raise Failure(400, f"Wrong input: {error}") from error


def _vectors(vectors: dict[str, Any]) -> edge.EdgeVectorParams | dict[str, edge.EdgeVectorParams]:
    if "size" in vectors:
        return edge.EdgeVectorParams(size=vectors["size"], distance=getattr(edge.Distance, vectors["distance"]))
    return {
        name: edge.EdgeVectorParams(size=v["size"], distance=getattr(edge.Distance, v["distance"]))
        for name, v in vectors.items()
    }
