"""Making one collection equal to another, in passes: each reads both in the order of ids and writes what differs.

The first pass finds nothing in the target and so copies everything; a later one copies what was written meanwhile, and
one that starts after an interruption only what is missing. A pass that writes nothing proves that both are equal.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import orjson

from qdrant_admin.points.client import MOST, Point, Points, page_limit
from qdrant_admin.points.comparison import Difference, differences, passing_on
from qdrant_admin.points.equality import Checksum, as_stored

SOURCE, TARGET = "source", "target"


class Fill(Protocol):
    """How points of the source get into the target."""

    description: str
    with_vector: bool  # whether vectors are taken over, and so must be read and compared
    batch: int  # points in one write, at most
    writers: int  # writes at a time

    def comparable(self, point: Point) -> Point:
        """The point without what this way of filling changes."""

    def write(self, points: list[Point]) -> None:
        """Return when the target has these points of the source; may be repeated."""


class Copied:
    """Points are written as they are, with length 1 where the target normalises vectors and the source does not."""

    description, with_vector, batch = "copied", True, MOST

    def __init__(self, target: Points, *, writers: int = 4, normalised: bool = False) -> None:
        self._target, self._normalised, self.writers = target, normalised, writers

    def comparable(self, point: Point) -> Point:
        return point | {"vector": as_stored(point.get("vector"))} if self._normalised else point

    def write(self, points: list[Point]) -> None:
        self._target.upsert(points)


@dataclass
class Pass:
    """What a pass has read and written."""

    source: Checksum = field(default_factory=Checksum)
    target: Checksum = field(default_factory=Checksum)
    written: int = 0
    removed: int = 0

    @property
    def changed(self) -> int:
        return self.written + self.removed


@dataclass(frozen=True, kw_only=True)
class Route:
    """From one collection to another."""

    source: Points
    target: Points
    fill: Fill

    def source_points(self) -> Iterator[Point]:
        """As they are compared."""
        return map(self.fill.comparable, self.source.scan(with_vector=self.fill.with_vector))

    def target_points(self) -> Iterator[Point]:
        """As they are compared."""
        return map(self.fill.comparable, self.target.scan(with_vector=self.fill.with_vector))

    def differences(self) -> Iterator[Difference]:
        """Where the target is not as the source, in the order of ids."""
        return differences({SOURCE: self.source_points(), TARGET: self.target_points()})

    def carry_out(self, batch: Sequence[Difference]) -> None:
        """Make the target equal to the source in these points."""
        if points := [point for each in batch if (point := each.found[SOURCE])]:
            self.fill.write(points)
        if gone := [each.id for each in batch if each.found[SOURCE] is None]:
            self.target.delete(gone)


def synchronise(route: Route, on_point: Callable[[Point], None] = lambda _: None) -> Pass:
    """One pass; `on_point` gets each point of the source."""
    done = Pass()

    def add(point: Point) -> None:
        done.source.add(point)
        on_point(point)

    places = {
        SOURCE: passing_on(route.source_points(), add),
        TARGET: passing_on(route.target_points(), done.target.add),
    }
    for batch in _carried_out(route, differences(places)):
        written = sum(each.found[SOURCE] is not None for each in batch)
        done.written, done.removed = done.written + written, done.removed + len(batch) - written
    return done


def missing(route: Route) -> Iterator[Difference]:
    """The points that the source has and the target has not."""
    return (each for each in route.differences() if each.found[TARGET] is None)


def copy_missing(route: Route) -> int:
    """Copy only the points that the target has not at all; how many there were."""
    return sum(len(batch) for batch in _carried_out(route, missing(route)))


def _carried_out(route: Route, found: Iterator[Difference]) -> Iterator[Sequence[Difference]]:
    """Batches, several at a time; all are acknowledged when the last one was yielded. The first one's error ends it."""
    under_way = deque[Future[None]]()
    with ThreadPoolExecutor(max_workers=route.fill.writers) as pool:
        for batch in _batches(found, route.fill.batch):
            if len(under_way) >= 2 * route.fill.writers:
                under_way.popleft().result()
            under_way.append(pool.submit(route.carry_out, batch))
            yield batch
        for each in under_way:
            each.result()


def _batches(found: Iterator[Difference], most: int) -> Iterator[list[Difference]]:
    """As many as the size of a batch's first point allows."""
    for first in found:
        limit = min(most, page_limit(len(orjson.dumps(first.found[SOURCE] or first.found[TARGET])), 1))
        yield [first, *islice(found, limit - 1)]
