"""The points of one collection: pages in the order of ids, look-ups, counts, acknowledged writes."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import orjson
import requests

from access.kubernetes.tunnel import local
from access.polling import SYSTEM_CLOCK, Clock, NotYet, PollTimeout, poll
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError, refusal

T = TypeVar("T")
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
        return str(orjson.loads(self.send("GET", "/"))["version"])

    def points(self, name: str, clock: Clock = SYSTEM_CLOCK) -> "Points":
        """The points of a collection, read and written through this node only."""
        return Points([self], name, retry_seconds=ONE_NODE_SECONDS, clock=clock)

    def point_aliases(self, wanted: Mapping[str, str | None]) -> None:
        """Let aliases (name -> collection, or None for none) serve these collections, all in one request."""
        there = self.aliases()
        actions: list[dict[str, dict[str, str]]] = [
            {"delete_alias": {"alias_name": alias}} for alias in wanted if alias in there
        ]
        actions += [
            {"create_alias": {"alias_name": alias, "collection_name": target}}
            for alias, target in wanted.items()
            if target
        ]
        if actions:
            self.change_aliases(actions)

    def send(self, method: str, path: str, body: Any = None) -> bytes:
        """The response's body, for large ones; NodeUnreachable or QdrantError."""
        data = None if body is None else orjson.dumps(body)
        headers = {"content-type": "application/json"}
        try:
            response = self._session.request(
                method, local(self.url) + path, data=data, headers=headers, timeout=(2, BULK_SECONDS)
            )
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        if response.status_code >= 400:
            raise QdrantError(response.status_code, refusal(response))
        return response.content


class Points:
    """One collection's points through one node or several.

    Reads go to one node as long as it answers, writes to all in turn. A call that fails with 5xx, or is not answered,
    is repeated on the next node; NodeUnreachable after `retry_seconds`, QdrantError at once for 4xx.
    """

    def __init__(
        self,
        nodes: Sequence[NodePoints],
        name: str,
        *,
        retry_seconds: float = RETRY_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.nodes, self.name = nodes, name
        self._path, self._retry_seconds, self._clock = f"/collections/{name}/points", retry_seconds, clock
        self._reader, self._writes = 0, itertools.count()

    def __iter__(self) -> Iterator[Point]:
        return self.scan()

    def scan(self, *, with_vector: bool = True) -> Iterator[Point]:
        """Every point with its payload, in the order of ids; the next page is fetched while one is read."""
        page_of = self._page_of_shards if with_vector and self._shards() > 1 else partial(self._page, with_vector)
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(page_of, None, FIRST_PAGE)
            while True:
                size, page = coming.result()
                if (offset := page["next_page_offset"]) is not None:
                    coming = ahead.submit(page_of, offset, page_limit(size, len(page["points"])))
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
        self._write("PUT", "?wait=true", {"points": [{**each, "vector": each.get("vector") or {}} for each in points]})

    def delete(self, ids: Sequence[Id]) -> None:
        """Delete points by id; returns when every living replica has acknowledged it."""
        self._write("POST", "/delete?wait=true", {"points": list(ids)})

    def _shards(self) -> int:
        found = self._repeated(lambda: self._reading_node().collection(self.name))
        return int(found["config"]["params"]["shard_number"]) if found else 1

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

    def _reading_node(self) -> NodePoints:
        return self.nodes[self._reader % len(self.nodes)]

    def _read(self, path: str, body: Any) -> bytes:
        return self._repeated(lambda: self._reading_node().send("POST", self._path + path, body))

    def _write(self, method: str, path: str, body: Any) -> None:
        self._repeated(lambda: self.nodes[next(self._writes) % len(self.nodes)].send(method, self._path + path, body))

    def _repeated(self, call: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return call()
            except (NodeUnreachable, QdrantError) as error:
                if isinstance(error, QdrantError) and error.status < 500:
                    raise
                self._reader += 1
                raise NotYet(str(error)) from error

        try:
            return poll(attempt, self._retry_seconds, expected=f"an answer for {self.name}", clock=self._clock)
        except PollTimeout as error:
            raise NodeUnreachable(str(error)) from error


def order(point_id: Id) -> tuple[bool, Id]:
    """Qdrant's own order of ids: numbers, then UUIDs."""
    return isinstance(point_id, str), point_id


def page_limit(size_bytes: int, points: int) -> int:
    """How many points of such a size make a page of about `PAGE_BYTES`."""
    return max(FEWEST, min(MOST, PAGE_BYTES * points // max(size_bytes, 1)))
