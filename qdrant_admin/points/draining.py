"""Late writes: what a collection still gets while the alias that served it is switched to another one.

What each point was when it was copied is kept by digest, about 200 bytes each. A late write is then a point that is
another one by now, and a point of the target is left as it is where the target's own clients have changed it since.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import orjson

from qdrant_admin.points.client import Id, Point
from qdrant_admin.points.equality import fingerprint
from qdrant_admin.points.synchronisation import SOURCE, Route

T = TypeVar("T")

BATCH = 256  # points of the source looked up in the target at once
SHOWN = 5  # reasons


class Digest(NamedTuple):
    """What a point is, without its vector and with it."""

    payload: bytes
    whole: int


class Baseline:
    """The source's points as they were copied."""

    def __init__(self) -> None:
        self._digests: dict[Id, Digest] = {}

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, point: Point) -> None:
        self._digests[point["id"]] = _digest(point)

    def has(self, point_id: Id, point: Point | None) -> bool:
        """Whether it had this very point, or none of that id."""
        return self._digests.get(point_id) == (point and _digest(point))

    def has_payload(self, point_id: Id, point: Point | None) -> bool:
        """Whether it had a point with this payload, or none of that id."""
        known = self._digests.get(point_id)
        return (known and known.payload) == (point and _payload(point))

    def without(self, other: "Baseline") -> list[Id]:
        """Ids that it has and the other one has not."""
        return list(self._digests.keys() - other._digests.keys())


def unproven(route: Route, baseline: Baseline) -> list[str]:
    """Why the target is not what was copied, by its count and by every point; what changed since is a late write."""
    expected, found = len(baseline), route.target.count()
    reasons = [] if expected == found else [f"expected {expected} points, found {found}"]
    lasting = (each for each in route.differences() if baseline.has(each.id, each.found[SOURCE]))
    faults = (finding for each in lasting for finding in each.findings())
    words = (f"point {fault.id} differs: {fault.what} in the {fault.place}" for fault in faults)
    return reasons + list(islice(words, SHOWN - len(reasons)))


def drain(route: Route, baseline: Baseline) -> tuple[int, Baseline]:
    """One pass over the source, which copies late writes and deletions: how many there were, and the new baseline."""
    now, late = Baseline(), 0
    for points in _batches(route.source_points()):
        for point in points:
            now.add(point)
        changed = [point for point in points if not baseline.has(point["id"], point)]
        untouched = _untouched(route, baseline, [point["id"] for point in changed])
        if mine := [point for point in changed if point["id"] in untouched]:
            route.fill.write(mine)
        late += len(changed)
    for gone in _batches(baseline.without(now)):
        if ids := _untouched(route, baseline, gone):
            route.target.delete(list(ids))
        late += len(gone)
    return late, now


def _untouched(route: Route, baseline: Baseline, ids: list[Id]) -> set[Id]:
    """Those that the target has as they were copied, or has not, as it should."""
    here = route.target.retrieve(ids, with_vector=False)
    found = {each: route.fill.comparable(here[each]) if each in here else None for each in ids}
    return {each for each in ids if baseline.has_payload(each, found[each])}


def _digest(point: Point) -> Digest:
    return Digest(_payload(point), fingerprint(point))


def _payload(point: Point) -> bytes:
    text = orjson.dumps(point.get("payload") or {}, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=12).digest()


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
