"""The points of one collection: pages in the order of ids, look-ups, counts, acknowledged writes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import orjson

from access.polling import SYSTEM_CLOCK, Clock
from qdrant_admin.api import QdrantApi, path
from qdrant_admin.nodes import Nodes

Id = int | str
Point = dict[str, Any]  # id, and as far as they were asked for vector and payload

PAGE_BYTES = 1 << 20  # of one page or batch: well below the 32 MiB that a node accepts at once
FIRST_PAGE, FEWEST, MOST = 256, 16, 2000  # points in a page
BULK_SECONDS = 120  # how long a page or a batch may take
ONE_NODE_SECONDS = 20  # how long a call to one node is repeated
RETRY_SECONDS = 120  # how long a call to any of several nodes is repeated: one of them may be replaced meanwhile


class NodePoints(QdrantApi):
    """One node by its base URL, as in QdrantApi; it answers from its own replicas of the shards that it holds."""

    def version(self) -> str:
        """The server's version, such as `1.19.2`."""
        return str(orjson.loads(self.exchange("GET", "/"))["version"])

    def points(self, name: str, clock: Clock = SYSTEM_CLOCK) -> "Points":
        """The points of a collection, read and written through this node only."""
        return Points(Nodes([self], clock), name, ONE_NODE_SECONDS)

    def point_aliases(self, wanted: Mapping[str, str | None]) -> None:
        """Let aliases (name -> collection, or None for none) serve these collections, all in one request."""
        there = self.aliases()
        drop = [{"delete_alias": {"alias_name": alias}} for alias in wanted if alias in there]
        create = [{"create_alias": {"alias_name": alias, "collection_name": to}} for alias, to in wanted.items() if to]
        if actions := [*drop, *create]:
            self.change_aliases(actions)


class Points:
    """One collection's points through one node or several.

    Reads begin with the first node, writes with each in turn; a call that fails with 5xx, or is not answered, is
    repeated on the next one. NodeUnreachable or QdrantError after `retry_seconds`, QdrantError at once for 4xx.
    """

    def __init__(self, nodes: Nodes, name: str, retry_seconds: float = RETRY_SECONDS) -> None:
        self.nodes, self.name = nodes, name
        self._path, self._retry_seconds, ring = path("collections", name, "points"), retry_seconds, list(nodes)
        self._turns = itertools.cycle(Nodes(ring[turn:] + ring[:turn], nodes.clock) for turn in range(len(ring)))

    def __iter__(self) -> Iterator[Point]:
        return self.scan()

    @property
    def place(self) -> str:
        """Where they are read first."""
        return next(iter(self.nodes)).url

    def scan(self, *, with_vector: bool = True) -> Iterator[Point]:
        """Every point with its payload, in the order of ids; the next page is fetched while one is read."""
        config = self._config()
        shards = int(config.get("params", {}).get("shard_number", 1))
        page_of = self._page_of_shards if with_vector and shards > 1 else partial(self._page, with_vector)
        most = _strict_limit(config, "max_query_limit")
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(page_of, None, min(FIRST_PAGE, most))
            while True:
                size, page = coming.result()
                if (offset := page["next_page_offset"]) is not None:
                    coming = ahead.submit(page_of, offset, min(page_limit(size, len(page["points"])), most))
                yield from page["points"]
                if offset is None:
                    return

    def count(self) -> int:
        """How many points there are, exactly."""
        found: int = orjson.loads(self._read("/count", {"exact": True}))["result"]["count"]
        return found

    def retrieve(self, ids: Sequence[Id], *, with_vector: bool = True, with_payload: bool = True) -> dict[Id, Point]:
        """Those of the points that exist, by id."""
        body = {"ids": list(ids), "with_vector": with_vector, "with_payload": with_payload}
        return {point["id"]: point for point in orjson.loads(self._read("", body))["result"]} if ids else {}

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; returns when every living replica has acknowledged them."""
        whole = [{**each, "vector": each.get("vector") or {}} for each in points]
        for start in range(0, len(whole), self._upsert_most):
            self._write("PUT", "?wait=true", {"points": whole[start : start + self._upsert_most]})

    def delete(self, ids: Sequence[Id]) -> None:
        """Delete points by id; returns when every living replica has acknowledged it."""
        self._write("POST", "/delete?wait=true", {"points": list(ids)})

    @cached_property
    def _upsert_most(self) -> int:
        return _strict_limit(self._config(), "upsert_max_batchsize")

    def _config(self) -> dict[str, Any]:
        found = self.nodes.with_retries(lambda node: node.collection(self.name), self._retry_seconds)
        return dict(found["config"]) if found else {}

    def _page(self, with_vector: bool, offset: Id | None, limit: int) -> tuple[int, dict[str, Any]]:
        body = {"limit": limit, "offset": offset, "with_vector": with_vector, "with_payload": True}
        content = self._read("/scroll", body)
        return len(content), orjson.loads(content)["result"]

    def _page_of_shards(self, offset: Id | None, limit: int) -> tuple[int, dict[str, Any]]:
        """Ids first: each shard returns a whole page, and what exceeds its share would be transferred for nothing."""
        body = {"limit": limit, "offset": offset, "with_vector": False, "with_payload": False}
        page = orjson.loads(self._read("/scroll", body))["result"]
        wanted = {"ids": [point["id"] for point in page["points"]], "with_vector": True, "with_payload": True}
        content = self._read("", wanted) if wanted["ids"] else b'{"result": []}'
        found = sorted(orjson.loads(content)["result"], key=lambda point: order(point["id"]))
        return len(content), page | {"points": found}

    def _read(self, call: str, body: Any) -> bytes:
        return self._repeated(self.nodes, "POST", call, body)

    def _write(self, method: str, call: str, body: Any) -> None:
        self._repeated(next(self._turns), method, call, body)

    def _repeated(self, nodes: Nodes, method: str, call: str, body: Any) -> bytes:
        at = self._path + call
        return nodes.with_retries(lambda node: node.exchange(method, at, body, BULK_SECONDS), self._retry_seconds)


def _strict_limit(config: Mapping[str, Any], key: str) -> int:
    """How many points a call may have in the collection's strict mode."""
    strict = config.get("strict_mode_config") or {}
    return int(strict.get(key) or MOST) if strict.get("enabled") else MOST


def order(point_id: Id) -> tuple[bool, Id]:
    """Qdrant's own order of ids: numbers, then UUIDs."""
    return isinstance(point_id, str), point_id


def page_limit(size_bytes: int, points: int) -> int:
    """How many points of such a size make a page of about `PAGE_BYTES`."""
    return max(FEWEST, min(MOST, PAGE_BYTES * points // max(size_bytes, 1)))
