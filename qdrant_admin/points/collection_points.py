"""The points of one collection, read and written in pages through whichever node answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qdrant_admin.nodes import Nodes

Point = dict[str, Any]  # id, payload and, where it was asked for, vector
PAGE, DELETED = 256, 1000  # points in one call
CALL_SECONDS = 60


class PointsApi:
    """Repeats every call until it is answered, on one node after another: each may be repeated."""

    def __init__(self, nodes: Nodes, collection: str) -> None:
        self.collection = collection
        self._nodes = nodes
        self._path = f"/collections/{collection}/points"

    def pages(self, *, with_vector: bool) -> Iterator[list[Point]]:
        """Every point once, in the order of ids; what is written meanwhile may or may not be among them."""
        with ThreadPoolExecutor(max_workers=1) as ahead:  # the next page is fetched while one is worked on
            coming = ahead.submit(self._page, None, with_vector)
            while True:
                page = coming.result()
                if (offset := page.get("next_page_offset")) is not None:
                    coming = ahead.submit(self._page, offset, with_vector)
                yield page["points"]
                if offset is None:
                    return

    def _page(self, offset: Any, with_vector: bool) -> Any:
        wanted = {"limit": PAGE, "offset": offset, "with_payload": True, "with_vector": with_vector}
        return self._call("POST", "/scroll", wanted)

    def retrieve(self, ids: list[Any], *, with_vector: bool) -> dict[Any, Point]:
        """Those of the points that there are, by id."""
        found: list[Point] = []
        for start in range(0, len(ids), PAGE):
            wanted = {"ids": ids[start : start + PAGE], "with_payload": True, "with_vector": with_vector}
            found += self._call("POST", "", wanted)
        return {point["id"]: point for point in found}

    def upsert(self, points: list[Point]) -> None:
        """Return when every replica that is alive has them."""
        if points:
            written = [{key: point.get(key) for key in ("id", "vector", "payload")} for point in points]
            self._call("PUT", "?wait=true", {"points": written})

    def delete(self, ids: list[Any]) -> None:
        """Return when no replica that is alive has them any more."""
        for start in range(0, len(ids), DELETED):
            self._call("POST", "/delete?wait=true", {"points": ids[start : start + DELETED]})

    def count(self) -> int:
        """Exactly."""
        return int(self._call("POST", "/count", {"exact": True})["count"])

    def _call(self, method: str, path: str, body: Any) -> Any:
        return self._nodes.with_retries(lambda node: node.call(method, self._path + path, body, CALL_SECONDS))
