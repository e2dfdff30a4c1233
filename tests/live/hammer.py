"""Calls without a token, as fast as they are answered, while the gateway is being made."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import requests


class Hammer:
    """Counts every answer by its status; `passed` where the call got through to what is behind the gateway.

    The status alone does not tell: the service behind an unguarded route refuses with a 401 of its own.
    """

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def seen_at_least(self, status: str, times: int, seconds: float = 30) -> None:
        """Go on until the answer came so often: the route is there, and was hammered from its first moment on."""
        deadline = time.monotonic() + seconds
        while self.answers[status] < times:
            assert time.monotonic() < deadline, f"expected {times} times {status}, found {dict(self.answers)}"
            time.sleep(0.1)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = requests.post(self._url, json={"query": "x", "limit": 1}, timeout=5)
                self.answers["passed" if passed(answer) else str(answer.status_code)] += 1
            except requests.RequestException:
                self.answers["none"] += 1
            self._stop.wait(0.03)  # below the flood limit, which would hide an open route behind its own refusals


def passed(answer: requests.Response) -> bool:
    """Whether jwt let the call through: the service answered it, or a limit that counts only what jwt let through."""
    return "X-Kong-Upstream-Latency" in answer.headers or "API rate limit exceeded" in answer.text
