"""Making one collection like another, in passes: each reads both in the order of ids and mends what differs.

The first pass finds nothing in the target and so copies everything; a later one brings what was written meanwhile, and
one that is begun again after an interruption only what is missing. A pass that mends nothing is the proof.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
from tenacity import retry, retry_if_exception, stop_after_delay, wait_exponential_jitter

from qdrant_admin.points.client import MOST, Id, NodePoints, Point, page_limit, passing
from qdrant_admin.points.comparison import disputes, told
from qdrant_admin.points.equality import Checksum

WRITERS = 4
TIMEOUT_SECONDS = 120  # a node may be replaced meanwhile

SOURCE, TARGET = "source", "target"


@dataclass
class Pass:
    """What a pass has read and mended."""

    source: Checksum = field(default_factory=Checksum)
    target: Checksum = field(default_factory=Checksum)
    written: int = 0
    removed: int = 0

    @property
    def mended(self) -> int:
        return self.written + self.removed


@dataclass(frozen=True, kw_only=True)
class Route:
    """From one collection to another; the target is written through all of its nodes."""

    source: NodePoints
    source_name: str
    nodes: Sequence[NodePoints]
    target_name: str


def mend(route: Route, heard: Callable[[Point], None]) -> Pass:
    """One pass; `heard` is told each point of the source."""
    done = Pass()

    def hear(point: Point) -> None:
        done.source.hear(point)
        heard(point)

    places: dict[str, Iterable[Point]] = {
        SOURCE: told(route.source.points(route.source_name), hear),
        TARGET: told(route.nodes[0].points(route.target_name), done.target.hear),
    }
    with writers(route.nodes, route.target_name) as to:
        for dispute in disputes(places):
            if point := dispute.seen[SOURCE]:
                to.write(point)
                done.written += 1
            else:
                to.remove(dispute.id)
                done.removed += 1
    return done


def left_behind(route: Route) -> list[Id]:
    """Ids that the source has and the target has not; nothing is written: the target may have deleted them since."""
    places = {SOURCE: route.source.points(route.source_name), TARGET: route.nodes[0].points(route.target_name)}
    return [dispute.id for dispute in disputes(places) if dispute.seen[TARGET] is None]


class Writers:
    """Writes batches through all nodes in turn, several at a time; what fails in passing is tried on the next one."""

    def __init__(self, nodes: Sequence[NodePoints], name: str, pool: ThreadPoolExecutor) -> None:
        self._nodes, self._name, self._pool = nodes, name, pool
        self._turn, self._under_way = count(), deque[Future[None]]()
        self._batch: list[Point] = []
        self._removals: list[Id] = []
        self._limit = MOST

    def write(self, point: Point) -> None:
        """Take a point; its batch is sent when it is full, which the first point's size tells."""
        if not self._batch:
            self._limit = page_limit(len(orjson.dumps(point)), 1)
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
            self._send(lambda node: node.upsert(self._name, batch))

    def _send_removals(self) -> None:
        if ids := self._removals:
            self._removals = []
            self._send(lambda node: node.delete(self._name, ids))

    def _send(self, work: Callable[[NodePoints], None]) -> None:
        if len(self._under_way) >= 2 * WRITERS:
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(self._surely, work))

    def _surely(self, work: Callable[[NodePoints], None]) -> None:
        _until_taken(lambda: work(self._nodes[next(self._turn) % len(self._nodes)]))


@contextmanager
def writers(nodes: Sequence[NodePoints], name: str) -> Iterator[Writers]:
    """Writers whose batches are all acknowledged when the block ends well."""
    with ThreadPoolExecutor(max_workers=WRITERS) as pool:
        made = Writers(nodes, name, pool)
        yield made
        made.finish()


@retry(
    retry=retry_if_exception(passing),
    wait=wait_exponential_jitter(multiplier=0.1, max=5),
    stop=stop_after_delay(TIMEOUT_SECONDS),
    reraise=True,
)
def _until_taken(work: Callable[[], Any]) -> None:
    work()
