"""Callers of the gateway: they search and ask, now and then, and count what they are answered."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

import requests

QUESTIONS = ("How do I parse JSON?", "How do I delete a file?", "What is a square root?", "How do I copy a list?")

WITH_LIMITS: dict[str, Any] = {"gatewayRateLimitPerMinute": "100", "gatewayFloodBurst": "200", "policyExceptions": []}


class Callers:
    """A few requests a second while the block runs."""

    def __init__(self, url: str, token: str, callers: int = 2, pause_seconds: float = 0.3) -> None:
        self.answers: Counter[int] = Counter()
        self._url, self._headers, self._pause = f"{url}/api/v1/rag", {"Authorization": f"Bearer {token}"}, pause_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered_at_least(self, times: int, within_seconds: float = 60) -> None:
        """Wait until that many were answered with 200."""
        deadline = time.monotonic() + within_seconds
        while self.answers[200] < times:
            assert time.monotonic() < deadline, f"expected {times} good answers, found {dict(self.answers)}"
            time.sleep(0.2)

    def _run(self, number: int) -> None:
        session = requests.Session()
        while not self._stop.wait(self._pause):
            number += 1
            asked = QUESTIONS[number % len(QUESTIONS)]
            search = ("search", {"query": asked, "limit": 3})
            path, body = ("query", {"question": asked}) if number % 5 == 0 else search
            try:
                answer = session.post(f"{self._url}/{path}", json=body, headers=self._headers, timeout=20)
                self.answers[answer.status_code] += 1
            except requests.RequestException:
                self.answers[0] += 1
