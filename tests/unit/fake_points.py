"""The points of a fake Qdrant's collections, and what a test may have happen to them between two calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.served import Asked

Point = dict[str, Any]


@dataclass
class FakePoints:
    """Points by id. `on_call` hears of every call first, by its last path segment, as a writer beside us would."""

    stored: dict[Any, Point] = field(default_factory=dict)
    on_call: Callable[[str], None] = lambda _: None
    written: list[Any] = field(default_factory=list)  # ids that came by a call, each as often as it came

    def answer(self, asked: Asked, action: str) -> Any:
        """The `result` of a call; `action` is what stands behind `/points`."""
        self.on_call(action or asked.method)
        body = asked.json
        if asked.method == "PUT":
            self.write(*body["points"])
            self.written += [point["id"] for point in body["points"]]
            return {"status": "completed"}
        if action == "delete":
            for each in body["points"]:
                self.stored.pop(each, None)
            return {"status": "completed"}
        if action == "count":
            return {"count": len(self.stored)}
        if action == "scroll":
            return self._scroll(body)
        return [_shown(self.stored[each], body) for each in body["ids"] if each in self.stored]

    def write(self, *points: Point) -> None:
        self.stored |= {point["id"]: point for point in points}

    def _scroll(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = sorted(each for each in self.stored if body.get("offset") is None or each >= body["offset"])
        limit = body["limit"]
        page = [_shown(self.stored[each], body) for each in ids[:limit]]
        return {"points": page, "next_page_offset": ids[limit] if len(ids) > limit else None}


def _shown(point: Point, body: dict[str, Any]) -> Point:
    return {key: value for key, value in point.items() if key != "vector" or body.get("with_vector")}
