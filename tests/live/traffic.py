"""Readers and writers on keep-alive connections, and a ledger of every write that was acknowledged."""

import random
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Self

import requests

DIMENSIONS = 384
BATCH = 4  # points in one write


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: when it began (monotonic seconds), how long it took, and whether it was answered with 200."""

    began: float
    seconds: float
    answered: bool
    detail: str = ""


@dataclass
class Record:
    """What all readers and writers saw."""

    reads: list[Call] = field(default_factory=list)
    writes: list[Call] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    def failed_reads(self) -> list[Call]:
        return [read for read in self.reads if not read.answered]

    def p99(self, since: float, until: float) -> float:
        """99th percentile of read latency within a time, in seconds; of all reads, failed ones too."""
        seconds = sorted(read.seconds for read in self.reads if since <= read.began < until)
        assert seconds, "no reads in that time"
        return seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]


class Traffic:
    """Runs while its block does; the record is complete when the block ends."""

    def __init__(
        self, url: str, api_key: str, collection: str, *, readers: int = 8, writers: int = 2, first_id: int = 10**9
    ) -> None:
        self.record = Record()
        self._points = f"{url}/collections/{collection}/points"
        self._headers = {"api-key": api_key}
        self._ids = count(first_id)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        roles = [self._read] * readers + [self._write] * writers
        self._threads = [threading.Thread(target=role, args=(seed,)) for seed, role in enumerate(roles)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def settle_in(self, reads: int = 300) -> float:
        """Wait until there is something to compare with; returns the time."""
        while len(self.record.reads) < reads:
            time.sleep(0.1)
        return time.monotonic()

    def _read(self, seed: int) -> None:
        numbers, session = random.Random(seed), self._session()
        while not self._stop.is_set():
            body = {"query": vector(numbers), "limit": 10}
            self.record.reads.append(self._call(session, "POST", f"{self._points}/query", body))

    def _write(self, seed: int) -> None:
        """Write batch after batch, each again until it is acknowledged, as a careful client does."""
        numbers, session = random.Random(seed), self._session()
        while not self._stop.is_set():
            with self._lock:
                ids = [next(self._ids) for _ in range(BATCH)]
            body = {"points": [{"id": point, "vector": vector(numbers), "payload": {"of": seed}} for point in ids]}
            while not (call := self._call(session, "PUT", f"{self._points}?wait=true", body)).answered:
                self.record.writes.append(call)
                if self._stop.wait(0.1):
                    return
            self.record.writes.append(call)
            self.record.acknowledged += ids
            self._stop.wait(0.02)

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update(self._headers)
        return session

    def _call(self, session: requests.Session, method: str, url: str, body: Any) -> Call:
        began = time.monotonic()
        try:
            answer = session.request(method, url, json=body, timeout=40)
            answered, detail = (
                answer.status_code == 200,
                "" if answer.ok else f"{answer.status_code} {answer.text[:120]}",
            )
        except requests.RequestException as error:
            answered, detail = False, repr(error)[:160]
        return Call(began=began, seconds=time.monotonic() - began, answered=answered, detail=detail)


def vector(numbers: random.Random) -> list[float]:
    return [numbers.uniform(-1, 1) for _ in range(DIMENSIONS)]


def missing(node_urls: list[str], api_key: str, collection: str, acknowledged: list[int]) -> dict[str, list[int]]:
    """Acknowledged ids that a node cannot answer for: node -> ids; empty when nothing is lost."""
    lost: dict[str, list[int]] = {}
    for url in node_urls:
        found: set[int] = set()
        for start in range(0, len(acknowledged), 500):
            ids = acknowledged[start : start + 500]
            answer = requests.post(
                f"{url}/collections/{collection}/points",
                json={"ids": ids, "with_payload": False, "with_vector": False},
                headers={"api-key": api_key},
                timeout=60,
            )
            answer.raise_for_status()
            found |= {point["id"] for point in answer.json()["result"]}
        if absent := [point for point in acknowledged if point not in found]:
            lost[url] = absent
    return lost
