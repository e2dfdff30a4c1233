"""Streams of calls at a rate of their own, whatever becomes of the calls."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from proof.traffic.calls import Call


@dataclass(frozen=True)
class Answer:
    """What came of one call."""

    answered: bool
    detail: str = ""
    attempts: int = 1


NEVER_MADE = Answer(answered=False, detail="was due, and every client was still waiting for another answer", attempts=0)


class Client(Protocol):
    """One keep-alive connection; used by one thread."""

    def __call__(self, number: int, stopped: threading.Event) -> Answer:
        """Make the stream's call of that number; once stopped, give up what would be tried again."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """`per_second` calls, due at equal distances, by `connections` clients.

    A call that is due while every client waits for an answer is made late, and its lateness counts: a system that
    stalls cannot hide behind clients that wait politely.
    """

    name: str
    per_second: float
    connections: int
    connect: Callable[[], Client]


@dataclass
class Traffic:
    """Runs while its block does; `calls` is complete when the block ends."""

    streams: Sequence[Stream]
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._stopped_at = float("inf")
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        begin = time.monotonic() + 0.2
        for stream in self.streams:
            numbers = itertools.count()
            for connection in range(stream.connections):
                name = f"{stream.name}-{connection}"
                thread = threading.Thread(target=self._run, args=(stream, numbers, begin), name=name, daemon=True)
                self._threads.append(thread)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped_at = time.monotonic()
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Threads of this process do not fail."""

    def _run(self, stream: Stream, numbers: "itertools.count[int]", begin: float) -> None:
        client = stream.connect()
        while True:
            number = next(numbers)  # atomic: each call is taken by one client
            due = begin + number / stream.per_second
            spare = due - time.monotonic()
            if self._stop.wait(max(0.0, spare)):
                if due >= self._stopped_at or spare > 0:  # the end came before it was due or as it began
                    return
                answer, began = NEVER_MADE, self._stopped_at
            else:
                began = time.monotonic()
                answer = client(number, self._stop)
            self._note(stream.name, due, began, answer)

    def _note(self, stream: str, due: float, began: float, answer: Answer) -> None:
        self.calls.append(
            Call(
                stream=stream,
                due=due,
                began=began,
                ended=time.monotonic(),
                answered=answer.answered,
                detail=answer.detail,
                attempts=answer.attempts,
            )
        )
