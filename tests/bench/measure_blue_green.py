"""What a changed shard number costs readers, on a stack of its own.

`python -m tests.bench.measure_blue_green [points]`

Fills the collection with random points of 384 dimensions, changes its shard number through `up` while readers query the
alias through the balancer, and prints what they saw. Exits 1 when a read failed or a point was lost.
"""

import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from ops.daytwo.running import Running
from ops.status import parts_note
from qdrant_admin.points.client import Points
from tests.live.conftest import live_stack

DIMENSIONS, BATCH, READERS = 384, 500, 8
BEFORE, AFTER = 6, 4


@dataclass
class Reads:
    """What the readers of one alias saw, as (began, seconds, failure)."""

    url: str
    api_key: str
    seen: list[tuple[float, float, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, seed: int) -> None:
        numbers, session = random.Random(seed), requests.Session()
        session.headers["api-key"] = self.api_key
        while not self.stop.is_set():
            began = time.monotonic()
            self.seen.append((began, *self._read(session, {"query": vector(numbers), "limit": 10})))

    def _read(self, session: requests.Session, body: Any) -> tuple[float, str]:
        began, failure = time.monotonic(), ""
        try:
            answer = session.post(self.url, json=body, timeout=40)
            if not answer.ok:
                failure = f"{answer.status_code} {answer.text[:120]}"
            elif len(answer.json()["result"]["points"]) < 10:
                failure = "an answer with fewer points than there are"
        except requests.RequestException as error:
            failure = repr(error)[:120]
        return time.monotonic() - began, failure


def vector(numbers: random.Random) -> list[float]:
    return [numbers.uniform(-1, 1) for _ in range(DIMENSIONS)]


def main() -> None:
    """Fill, change, compare."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    stack = live_stack()
    stack.down(purge=True)
    stack.up(collectionShardNumber=str(BEFORE))
    found = stack.outputs
    alias = found["collection"]
    points = Running.of(found).points(alias)
    _fill(points, wanted)
    print(f"{wanted} points × {DIMENSIONS} in {found['physicalCollection']}, {BEFORE} shards", flush=True)
    reads = Reads(f"{found['qdrantUrl']}/collections/{alias}/points/query", found["qdrantApiKey"])
    readers = [threading.Thread(target=reads.run, args=(seed,)) for seed in range(READERS)]
    for reader in readers:
        reader.start()
    began = time.monotonic()
    stack.up_in_subprocess(collectionShardNumber=str(AFTER))
    seconds = time.monotonic() - began
    reads.stop.set()
    for reader in readers:
        reader.join()
    _judge(reads, began, seconds, points.count(), wanted)
    print(f"now {stack.outputs['physicalCollection']}, {AFTER} shards. {parts_note(stack.files.parts)}")
    stack.down(purge=True)


def _fill(points: Points, wanted: int) -> None:
    numbers = random.Random(0)
    for start in range(0, wanted, BATCH):
        ids = range(start, min(start + BATCH, wanted))
        points.upsert([{"id": each, "vector": vector(numbers), "payload": {"number": each}} for each in ids])


def _judge(reads: Reads, began: float, seconds: float, count: int, wanted: int) -> None:
    during = sorted(took for start, took, _ in reads.seen if start >= began)
    failed = [failure for _, _, failure in reads.seen if failure]
    p99 = during[int(len(during) * 0.99)] * 1000
    print(
        f"up took {seconds:.0f} s; {len(reads.seen)} reads by {READERS} readers, {len(failed)} failed; p99 {p99:.0f} ms"
    )
    print(f"{count} of {wanted} points behind the alias afterwards", *failed[:3], sep="\n  ")
    if failed or count != wanted:
        sys.exit(1)


if __name__ == "__main__":
    main()
