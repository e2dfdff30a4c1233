"""Four circuit breakers: a dependency that failed five times in a row is left alone for ten seconds."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from purgatory import ContextChanged, Event, SyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED, HALF_OPENED, OpenedState
from purgatory.service._sync.circuitbreaker import SyncCircuitBreaker

from rag.failures import Declined, Unavailable
from rag.metrics import Metrics

log = logging.getLogger(__name__)

CLOSED_VALUE, HALF_OPEN_VALUE, OPEN_VALUE = 0, 1, 2


class Breaker:
    """One dependency's circuit: refuses at once while open, then lets a single trial through."""

    def __init__(self, name: str, circuit: SyncCircuitBreaker, metrics: Metrics) -> None:
        self.name = name
        self._circuit = circuit
        self._failures = metrics.breaker_failures.labels(name)
        metrics.breaker_state.labels(name).set_function(lambda: self.state)

    @property
    def state(self) -> int:
        """0 closed, 1 half-open (the next call is the trial), 2 open."""
        if self._circuit.context.state == CLOSED:
            return CLOSED_VALUE
        return OPEN_VALUE if self._seconds_left() > 0 else HALF_OPEN_VALUE

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Count what fails inside; raise `Unavailable` without going in while the circuit is open."""
        if self._circuit.context.state == HALF_OPENED:
            raise self._open()  # the library lets every call through: one trial is enough
        try:
            with self._circuit:
                yield
        except OpenedState as opened:
            opened.__traceback__ = None  # one instance is raised again and again: it would grow
            raise self._open() from None
        except Declined:
            raise
        except BaseException:
            self._failures.inc()
            raise

    def _seconds_left(self) -> float:
        context = self._circuit.context
        return (context.opened_at or 0) + context.ttl - time.time()

    def _open(self) -> Unavailable:
        seconds = max(1, math.ceil(self._seconds_left()))
        return Unavailable(self.name, "it failed repeatedly and is given time to recover", seconds)


@dataclass(frozen=True)
class Breakers:
    """The breakers of a service; every role has all four, so that every role exports the same series."""

    qdrant: Breaker
    embedding: Breaker
    llm: Breaker
    query: Breaker


def make_breakers(failures: int, open_seconds: float, metrics: Metrics) -> Breakers:
    """Make four closed breakers."""
    # The synchronous kind guards awaits as well, for its bookkeeping waits for nothing; and it needs no running loop.
    factory = SyncCircuitBreakerFactory(failures, open_seconds, exclude=[Declined])
    factory.add_listener(_log_change)

    def breaker(name: str) -> Breaker:
        return Breaker(name, factory.get_breaker(name), metrics)

    return Breakers(breaker("qdrant"), breaker("embedding"), breaker("llm"), breaker("query"))


def _log_change(name: str, _kind: str, event: Event) -> None:
    if isinstance(event, ContextChanged):
        log.warning("circuit breaker changed", extra={"breaker": name, "state": event.state})
