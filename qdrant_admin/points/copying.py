"""Bringing one collection's points into another while both are in use, until neither has what the other lacks.

What was taken over is remembered by digest, point by point: about 200 bytes each, so a million points take 200 MB
while it lasts. With it, a later pass sees what was written, changed or deleted at the source since, without asking the
target; and after the switch, whether the target's own writers have touched a point since, which then is theirs.
"""

import hashlib
import json
import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from qdrant_admin.points.collection_points import Point, PointsApi

TELL_SECONDS = 5
SAMPLE = 200  # points compared at the end
TOLERANCE = 1e-3  # of a vector's components: an engine may store them normalised


class Fill(Protocol):
    """A way to bring points of the source into the target."""

    how: str
    with_vector: bool  # whether the source's vectors are taken over, and so must be read
    ignored: frozenset[str]  # fields of the payload that the way itself changes

    def bring(self, points: list[Point]) -> None:
        """Return when the target has them; may be repeated."""


class Copied:
    """Vectors stay valid: points are written as they are."""

    how = "copied"
    with_vector = True
    ignored: frozenset[str] = frozenset()

    def __init__(self, target: PointsApi) -> None:
        self._target = target

    def bring(self, points: list[Point]) -> None:
        self._target.upsert(points)


@dataclass(frozen=True)
class Digest:
    """What a point is, without its vector and with it."""

    payload: bytes
    whole: bytes


def digest(point: Point, ignored: frozenset[str] = frozenset()) -> Digest:
    payload = {key: value for key, value in (point.get("payload") or {}).items() if key not in ignored}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    short = hashlib.blake2b(text, digest_size=12)
    without = short.digest()
    if (vector := point.get("vector")) is not None:
        short.update(array("f", vector).tobytes() if isinstance(vector, list) else json.dumps(vector).encode())
    return Digest(without, short.digest())


class Takeover:
    """One source, one target; every pass may be interrupted and repeated."""

    def __init__(self, source: PointsApi, target: PointsApi, fill: Fill, told: Callable[[str], None]) -> None:
        self._source, self._target, self._fill, self._told = source, target, fill, told
        self._taken: dict[Any, Digest] = {}

    def remember(self) -> None:
        """What an interrupted run has brought already need not be brought again."""
        for page in self._target.pages(with_vector=self._fill.with_vector):
            self._taken |= {point["id"]: self._digest(point) for point in page}

    def catch_up(self) -> int:
        """One pass over the source: what it has otherwise is brought, what it has no more is deleted; how many."""
        changed, told_at = 0, time.monotonic()
        seen: set[Any] = set()
        for page in self._source.pages(with_vector=self._fill.with_vector):
            fresh = {point["id"]: self._digest(point) for point in page}
            seen |= fresh.keys()
            other = [point for point in page if self._taken.get(point["id"]) != fresh[point["id"]]]
            if other:
                self._fill.bring(other)
            self._taken |= {point["id"]: fresh[point["id"]] for point in other}
            changed += len(other)
            if time.monotonic() - told_at > TELL_SECONDS:
                told_at = time.monotonic()
                self._told(f"{self._target.collection}: {len(seen)} points compared, {changed} brought over")
        gone = list(self._taken.keys() - seen)
        self._target.delete(gone)
        for point in gone:
            del self._taken[point]
        return changed + len(gone)

    def catch_late_writes(self) -> int:
        """After the switch: what the source got meanwhile, unless the target's own writers have been there since."""
        late = 0
        seen: set[Any] = set()
        for page in self._source.pages(with_vector=self._fill.with_vector):
            fresh = {point["id"]: self._digest(point) for point in page}
            seen |= fresh.keys()
            other = [point for point in page if self._taken.get(point["id"]) != fresh[point["id"]]]
            if ours := set(self._untouched([point["id"] for point in other])):
                self._fill.bring([point for point in other if point["id"] in ours])
            self._taken |= {point["id"]: fresh[point["id"]] for point in other}
            late += len(other)
        gone = list(self._taken.keys() - seen)
        self._target.delete(list(self._untouched(gone)))
        for point in gone:
            del self._taken[point]
        return late + len(gone)

    def create_missing(self) -> int:
        """What the target has not at all; for a run that remembers nothing."""
        brought = 0
        for page in self._source.pages(with_vector=self._fill.with_vector):
            here = self._target.retrieve([point["id"] for point in page], with_vector=False)
            if missing := [point for point in page if point["id"] not in here]:
                self._fill.bring(missing)
            brought += len(missing)
        return brought

    def differences(self) -> list[str]:
        """Why the target is not what was taken over: the number of points, and a sample of them."""
        expected, found = len(self._taken), self._target.count()
        reasons = [] if expected == found else [f"expected {expected} points, found {found}"]
        step = max(1, len(self._taken) // SAMPLE)
        ids = list(self._taken)[::step][:SAMPLE]
        there = self._source.retrieve(ids, with_vector=self._fill.with_vector)
        here = self._target.retrieve(ids, with_vector=self._fill.with_vector)
        reasons += [f"point {point} is not there" for point in ids if point not in here]
        reasons += [
            f"point {each} differs"
            for each in ids
            if each in here and each in there and self._digest(there[each]) == self._taken[each]
            if not self._same(there[each], here[each])
        ]
        return reasons[:5]

    def _same(self, one: Point, other: Point) -> bool:
        if digest(one, self._fill.ignored).payload != digest(other, self._fill.ignored).payload:
            return False
        return not self._fill.with_vector or near(one["vector"], other["vector"])

    def _digest(self, point: Point) -> Digest:
        return digest(point, self._fill.ignored)

    def _untouched(self, ids: list[Any]) -> Iterable[Any]:
        """Those that the target has as they were taken over, or has not, as it should."""
        here = self._target.retrieve(ids, with_vector=False)
        for point in ids:
            taken = self._taken.get(point)
            if (taken and taken.payload) == (self._digest(here[point]).payload if point in here else None):
                yield point


def near(one: Any, other: Any) -> bool:
    """Whether two vectors are the same but for rounding."""
    if not isinstance(one, list) or not isinstance(other, list):
        return bool(one == other)
    return len(one) == len(other) and all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))
