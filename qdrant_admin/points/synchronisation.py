"""Making one collection equal to another, in passes: each reads both in the order of ids and writes what differs.

The first pass finds nothing in the target and so copies everything; a later one copies what was written meanwhile, and
one that starts after an interruption only what is missing. A pass that writes nothing proves that both are equal.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from qdrant_admin.points.client import MOST, Id, Point, Points, page_limit
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
    with writers(route) as to:
        for difference in differences(places):
            if point := difference.found[SOURCE]:
                to.write(point)
                done.written += 1
            else:
                to.remove(difference.id)
                done.removed += 1
    return done


def missing(route: Route) -> Iterator[Point]:
    """The points that the source has and the target has not."""
    for difference in route.differences():
        if (point := difference.found[SOURCE]) and difference.found[TARGET] is None:
            yield point


def copy_missing(route: Route) -> int:
    """Copy only the points that the target has not at all; how many there were."""
    copied = 0
    with writers(route) as to:
        for point in missing(route):
            to.write(point)
            copied += 1
    return copied


class Writers:
    """Writes batches, several at a time."""

    def __init__(self, route: Route, pool: ThreadPoolExecutor) -> None:
        self._route, self._pool, self._under_way = route, pool, deque[Future[None]]()
        self._batch: list[Point] = []
        self._removals: list[Id] = []
        self._limit = MOST

    def write(self, point: Point) -> None:
        """Take a point; its batch is sent when it is full, which the size of its first point decides."""
        if not self._batch:
            self._limit = min(self._route.fill.batch, page_limit(len(orjson.dumps(point)), 1))
        self._batch.append(point)
        if len(self._batch) >= self._limit:
            self._send_batch()

    def remove(self, point: Id) -> None:
        """Take the id of a point to delete."""
        self._removals.append(point)
        if len(self._removals) >= MOST:
            self._send_removals()

    def finish(self) -> None:
        """Return when everything is acknowledged; the error of the first batch that is not."""
        self._send_batch()
        self._send_removals()
        while self._under_way:
            self._under_way.popleft().result()

    def _send_batch(self) -> None:
        if batch := self._batch:
            self._batch = []
            self._send(lambda: self._route.fill.write(batch))

    def _send_removals(self) -> None:
        if ids := self._removals:
            self._removals = []
            self._send(lambda: self._route.target.delete(ids))

    def _send(self, work: Callable[[], None]) -> None:
        if len(self._under_way) >= 2 * self._route.fill.writers:
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(work))


@contextmanager
def writers(route: Route) -> Iterator[Writers]:
    """Writers whose batches are all acknowledged when the block ends without an error."""
    with ThreadPoolExecutor(max_workers=route.fill.writers) as pool:
        made = Writers(route, pool)
        yield made
        made.finish()
