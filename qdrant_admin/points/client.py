"""The points that one node itself answers with: pages in the order of ids, look-ups, counts, acknowledged writes."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import requests
from tenacity import retry, retry_if_exception, stop_after_delay, wait_exponential_jitter

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError, refusal

Id = int | str
Point = dict[str, Any]  # id, and as far as they were asked for vector and payload

PAGE_BYTES = 1 << 20  # of one page or batch: a moment's work, and well below the 32 MiB that a node takes at once
FIRST_PAGE, FEWEST, MOST = 256, 16, 2000  # points in a page
BULK_SECONDS = 120  # how long a page or a batch may take
READ_SECONDS = 20  # how long a node that fails in passing is asked again


def passing(error: BaseException) -> bool:
    """Whether the same call may go well a little later."""
    return isinstance(error, NodeUnreachable) or (isinstance(error, QdrantError) and error.status >= 500)


class NodePoints(QdrantApi):
    """One node by its base URL, as in QdrantApi; a node answers from its own copies of the shards it holds."""

    def version(self) -> str:
        """The server's version, such as `1.19.2`."""
        return str(self._bulk("GET", "/")["version"])

    def count(self, name: str) -> int:
        """How many points the collection has, exactly."""
        found: int = self._read(f"/collections/{name}/points/count", {"exact": True})["result"]["count"]
        return found

    def points(self, name: str) -> Iterator[Point]:
        """Every point with vector and payload, in the order of ids; the next page is fetched while one is read."""
        found = self.collection(name)
        page_of = self._page_of_shards if found and found["config"]["params"]["shard_number"] > 1 else self._page
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(page_of, name, None, FIRST_PAGE)
            while True:
                size, page = coming.result()
                if (offset := page["next_page_offset"]) is not None:
                    coming = ahead.submit(page_of, name, offset, page_limit(size, len(page["points"])))
                yield from page["points"]
                if offset is None:
                    return

    def retrieve(self, name: str, ids: Sequence[Id], *, payload: bool = True) -> dict[Id, Point]:
        """Those of the points that are there, by id."""
        body = {"ids": list(ids), "with_vector": True, "with_payload": payload}
        found = self._read(f"/collections/{name}/points", body)["result"]
        return {point["id"]: point for point in found}

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write points; returns when every living replica has taken them."""
        body = {"points": [{**point, "vector": point.get("vector") or {}} for point in points]}
        self._bulk("PUT", f"/collections/{name}/points?wait=true", body)

    def delete(self, name: str, ids: Sequence[Id]) -> None:
        """Delete points by id; returns when every living replica has."""
        self._bulk("POST", f"/collections/{name}/points/delete?wait=true", {"points": list(ids)})

    def point_aliases(self, wanted: Mapping[str, str | None]) -> None:
        """Make aliases (name -> collection, or None for none) say so, all at one moment."""
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

    def _page(self, name: str, offset: Id | None, limit: int) -> tuple[int, dict[str, Any]]:
        body = {"limit": limit, "offset": offset, "with_vector": True, "with_payload": True}
        content = self._surely(f"/collections/{name}/points/scroll", body).content
        return len(content), orjson.loads(content)["result"]

    def _page_of_shards(self, name: str, offset: Id | None, limit: int) -> tuple[int, dict[str, Any]]:
        """Ids first: each shard is asked for a whole page, and what it hands over beyond its share is for nothing."""
        body = {"limit": limit, "offset": offset, "with_vector": False, "with_payload": False}
        page = self._read(f"/collections/{name}/points/scroll", body)["result"]
        wanted = {"ids": [point["id"] for point in page["points"]], "with_vector": True, "with_payload": True}
        content = self._surely(f"/collections/{name}/points", wanted).content if wanted["ids"] else b'{"result": []}'
        found = sorted(orjson.loads(content)["result"], key=lambda point: order(point["id"]))
        return len(content), page | {"points": found}

    def _read(self, path: str, body: Any) -> Any:
        return orjson.loads(self._surely(path, body).content)

    @retry(
        retry=retry_if_exception(passing),
        wait=wait_exponential_jitter(multiplier=0.1, max=2),
        stop=stop_after_delay(READ_SECONDS),
        reraise=True,
    )
    def _surely(self, path: str, body: Any) -> requests.Response:
        """A question that this node may be asked again: its own copy is meant, and no other node's."""
        return self._answer("POST", path, body)

    def _bulk(self, method: str, path: str, body: Any = None) -> Any:
        return orjson.loads(self._answer(method, path, body).content)

    def _answer(self, method: str, path: str, body: Any) -> requests.Response:
        data = None if body is None else orjson.dumps(body)
        headers = {"content-type": "application/json"}
        try:
            answer = self._session.request(
                method, self.url + path, data=data, headers=headers, timeout=(2, BULK_SECONDS)
            )
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code >= 400:
            raise QdrantError(answer.status_code, refusal(answer))
        return answer


def order(point_id: Id) -> tuple[bool, Id]:
    """Qdrant's own order of ids: numbers, then UUIDs."""
    return isinstance(point_id, str), point_id


def page_limit(size_bytes: int, points: int) -> int:
    """How many points of such a size make a page of about `PAGE_BYTES`."""
    return max(FEWEST, min(MOST, PAGE_BYTES * points // max(size_bytes, 1)))
