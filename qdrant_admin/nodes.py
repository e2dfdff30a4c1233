"""The nodes of one cluster: any of them serves any request, and each has a view of its own."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError

T = TypeVar("T")
View = Mapping[str, Any]
PAUSE_SECONDS, TIMEOUT_SECONDS = 0.5, 60.0


class Nodes:
    """Asks one node after another; a plain no (4xx) is every node's no, all else is asked of the next one."""

    def __init__(self, nodes: Iterable[QdrantApi]) -> None:
        self._nodes = list(nodes)

    @classmethod
    def at(cls, urls: Iterable[str], api_key: str) -> "Nodes":
        return cls(QdrantApi(url, api_key) for url in urls)

    def __iter__(self) -> Iterator[QdrantApi]:
        return iter(self._nodes)

    def first(self, ask: Callable[[QdrantApi], T]) -> T:
        """The first answer; NodeUnreachable or QdrantError when none gives one."""
        return next(self.answers(ask))

    def with_retries(self, ask: Callable[[QdrantApi], T], seconds: float = TIMEOUT_SECONDS) -> T:
        """The first answer, asked for again while there is none: for what may be asked twice."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.first(ask)
            except (NodeUnreachable, QdrantError) as error:
                if (isinstance(error, QdrantError) and error.status < 500) or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE_SECONDS)

    def answers(self, ask: Callable[[QdrantApi], T]) -> Iterator[T]:
        """What each node says in its turn, asked only as far as the caller reads on; an error when none answers."""
        silent: list[Exception] = []
        for node in self._nodes:
            try:
                yield ask(node)
            except NodeUnreachable as error:
                silent.append(error)
            except QdrantError as error:
                if error.status < 500:
                    raise
                silent.append(error)
        if len(silent) == len(self._nodes):
            raise silent[-1]

    def views(self, collection: str) -> dict[str, View | None]:
        """Where each node, by its URL, believes the collection's replicas to be; None where it does not say."""
        return {node.url: _view(node, collection) for node in self._nodes}


def _view(node: QdrantApi, collection: str) -> View | None:
    try:
        return node.collection_cluster(collection)
    except (NodeUnreachable, QdrantError):
        return None
