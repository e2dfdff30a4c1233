"""The nodes of one cluster: any of them serves any request, and each has a view of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from access.polling import SYSTEM_CLOCK, Clock, NotYet, PollTimeout, poll
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError

T = TypeVar("T")
View = Mapping[str, Any]
PAUSE_SECONDS, RETRY_SECONDS = 0.5, 60.0


class Nodes:
    """Asks one node after another; a 4xx but 429 is the answer of all of them; else the next one is asked.

    `clock` is what waits by these nodes go by.
    """

    def __init__(self, nodes: Iterable[QdrantApi], clock: Clock = SYSTEM_CLOCK) -> None:
        self._nodes, self.clock = list(nodes), clock

    @classmethod
    def at(cls, urls: Iterable[str], api_key: str, clock: Clock = SYSTEM_CLOCK) -> "Nodes":
        return cls((QdrantApi(url, api_key) for url in urls), clock)

    def __iter__(self) -> Iterator[QdrantApi]:
        return iter(self._nodes)

    def first(self, ask: Callable[[QdrantApi], T]) -> T:
        """The first answer; NodeUnreachable or QdrantError when no node gives one."""
        return next(self.answers(ask))

    def with_retries(self, ask: Callable[[QdrantApi], T], timeout_seconds: float = RETRY_SECONDS) -> T:
        """The first answer, asked for again while there is none: for idempotent requests. Errors as of `first`."""

        def probe() -> T:
            try:
                return self.first(ask)
            except (NodeUnreachable, QdrantError) as error:
                if isinstance(error, QdrantError) and error.permanent:
                    raise
                failures.append(error)
                raise NotYet(str(error)) from error

        failures: list[Exception] = []
        try:
            return poll(probe, timeout_seconds, expected="an answer", interval_seconds=PAUSE_SECONDS, clock=self.clock)
        except PollTimeout:
            raise failures[-1] from None

    def answers(self, ask: Callable[[QdrantApi], T]) -> Iterator[T]:
        """Each node's answer, asked only as far as the caller reads on; an error when none answers."""
        failures: list[Exception] = []
        for node in self._nodes:
            try:
                yield ask(node)
            except NodeUnreachable as error:
                failures.append(error)
            except QdrantError as error:
                if error.permanent:
                    raise
                failures.append(error)
        if len(failures) == len(self._nodes):
            raise failures[-1]

    def views(self, collection: str) -> dict[str, View | None]:
        """URL -> where that node reports the collection's replicas to be; None where it does not answer."""
        return {node.url: _view(node, collection) for node in self._nodes}


def _view(node: QdrantApi, collection: str) -> View | None:
    try:
        return node.collection_cluster(collection)
    except (NodeUnreachable, QdrantError):
        return None
