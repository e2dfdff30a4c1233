"""Readers and writers that run inside the cluster, as its own pods do; each second they print what they have seen.

It stands alone, with only the standard library: a pod runs this file. PROBE_URL, PROBE_COLLECTION, PROBE_KEY and
PROBE_FIRST_ID say what it talks to. A line is a count of reads and writes, of those that failed, and of the batches
that each writer had acknowledged: it repeats a batch until it is, so that the count says which points were.
"""

import json
import os
import random
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

DIMENSIONS, BATCH, READERS, WRITERS, STRIDE = 384, 4, 4, 2, 10**6
seen: dict[str, Any] = {"reads": 0, "failed": [], "writes": 0, "unanswered": 0, "acknowledged": [0] * WRITERS}
lock = threading.Lock()


def identifiers(first_id: int, acknowledged: list[int]) -> list[int]:
    """The points of which the writers know that they are kept."""
    return [first_id + writer * STRIDE + n for writer, count in enumerate(acknowledged) for n in range(count * BATCH)]


class Client:
    """A keep-alive connection that is made again after it broke; a call is not."""

    def __init__(self, url: str, key: str) -> None:
        self._to, self._headers = urlsplit(url).netloc, {"api-key": key, "Content-Type": "application/json"}
        self._connection: HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any) -> str:
        """What went wrong, or nothing."""
        try:
            self._connection = self._connection or HTTPConnection(self._to, timeout=40)
            self._connection.request(method, path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            return "" if answer.status == 200 else f"{answer.status} {said[:100]!r}"
        except (OSError, HTTPException) as error:
            self._connection = None
            return repr(error)


def read(client: Client, points: str, numbers: random.Random) -> None:
    while True:
        began = time.time()
        wrong = client.call("POST", f"{points}/query", {"query": vector(numbers), "limit": 10})
        with lock:
            seen["reads"] += 1
            if wrong:
                seen["failed"].append([began, wrong])
        time.sleep(0.02)


def write(client: Client, points: str, numbers: random.Random, writer: int, first_id: int) -> None:
    while True:
        ids = [first_id + writer * STRIDE + seen["acknowledged"][writer] * BATCH + n for n in range(BATCH)]
        body = {"points": [{"id": point, "vector": vector(numbers), "payload": {}} for point in ids]}
        wrong = client.call("PUT", f"{points}?wait=true", body)
        with lock:
            seen["writes"] += 1
            if wrong:
                seen["unanswered"] += 1
            else:
                seen["acknowledged"][writer] += 1
        time.sleep(0.1)


def vector(numbers: random.Random) -> list[float]:
    return [numbers.uniform(-1, 1) for _ in range(DIMENSIONS)]


def main() -> None:
    url, key, first_id = os.environ["PROBE_URL"], os.environ["PROBE_KEY"], int(os.environ["PROBE_FIRST_ID"])
    points = f"/collections/{os.environ['PROBE_COLLECTION']}/points"
    roles = [(read, ())] * READERS + [(write, (writer, first_id)) for writer in range(WRITERS)]
    for seed, (role, more) in enumerate(roles):
        given = (Client(url, key), points, random.Random(seed), *more)
        threading.Thread(target=role, args=given, daemon=True).start()
    while True:
        time.sleep(1)
        with lock:
            print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
