"""The platform's clients, each with a keep-alive connection: reader, writer, searcher, asker.

Readers and writers talk to the balancer, as programs with Qdrant's key do. Searches and questions go through the
gateway with a token, as all clients do; it has no route for writes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from proof.traffic.generator import Answer
from proof.traffic.ledger import Acknowledgements
from proof.traffic.vectors import fingerprint, signs

READ, WRITE, SEARCH, ASK = "read", "write", "search", "ask"
POINTS_OF_A_WRITE = 4
ANSWER_SECONDS = 10  # what any client waits for one answer
TIMEOUT_SECONDS = 90  # how long a writer goes on trying
QUESTIONS = [f"how do I {verb} a {thing}?" for verb in ("open", "parse", "sort", "copy", "delete", "print", "join")
             for thing in ("file", "date", "list", "string", "folder", "number", "table")]  # fmt: skip


def direct_session() -> requests.Session:
    """A session without the environment's proxy, as in `access.direct`: only this folder is shipped into a pod."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class Connection:
    """One kept-alive connection with its headers."""

    headers: Mapping[str, str]
    session: requests.Session = field(default_factory=direct_session)

    def __post_init__(self) -> None:
        self.session.headers.update(self.headers)

    def call(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        accepts: Callable[[requests.Response], bool] = lambda answer: answer.status_code == 200,
    ) -> Answer:
        try:
            answer = self.session.request(method, url, json=body, headers=headers, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            return Answer(answered=False, detail=_reason(error))
        good = accepts(answer)
        return Answer(answered=good, detail="" if good else f"{answer.status_code} {answer.text[:120]}")


class Reader:
    """Random queries through the balancer, each made once: a retry would be the balancer's work."""

    def __init__(self, points_url: str, api_key: str, dimensions: int) -> None:
        self._connection = Connection({"api-key": api_key})
        self._url = f"{points_url}/query"
        self._dimensions = dimensions

    def __call__(self, number: int, stopped: threading.Event) -> Answer:
        return self._connection.call("POST", self._url, {"query": signs(number, self._dimensions), "limit": 10})


class Writer:
    """Batches of new points, each sent until it is acknowledged, and then noted in the ledger."""

    def __init__(
        self,
        points_url: str,
        api_key: str,
        dimensions: int,
        *,
        ids: Iterator[int],
        ledger: Acknowledgements,
        pause: float = 0.1,
    ) -> None:
        self._connection = Connection({"api-key": api_key})
        self._url = f"{points_url}?wait=true"
        self._dimensions = dimensions
        self._ids = ids
        self._ledger = ledger
        self._pause = pause

    def __call__(self, number: int, stopped: threading.Event) -> Answer:
        points = {next(self._ids): "" for _ in range(POINTS_OF_A_WRITE)}
        vectors = {point: signs(point, self._dimensions) for point in points}
        body = {"points": [{"id": point, "vector": vector} for point, vector in vectors.items()]}
        deadline, attempts = time.monotonic() + TIMEOUT_SECONDS, 1
        while not (answer := self._connection.call("PUT", self._url, body)).answered:
            if time.monotonic() > deadline or stopped.wait(self._pause):
                return Answer(answered=False, detail=answer.detail, attempts=attempts)
            attempts += 1
        self._ledger.acknowledge({point: fingerprint(vector) for point, vector in vectors.items()})
        return Answer(answered=True, detail="", attempts=attempts)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A call of a service through the gateway, and what a good answer is."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    contains: str = ""

    def accepts(self, answer: requests.Response) -> bool:
        return answer.status_code == self.status and self.contains in answer.text


RAG = "/api/v1/rag"
SEARCHES = [Probe(method="POST", path=f"{RAG}/search", body={"query": words, "limit": 5}) for words in QUESTIONS]
QUERIES = [Probe(method="POST", path=f"{RAG}/query", body={"question": words}) for words in QUESTIONS]


class GatewayClient:
    """Calls through the gateway, one probe after the other, from many client addresses in turn."""

    def __init__(self, gateway_url: str, token: str, probes: Sequence[Probe], *, addresses: int = 0) -> None:
        self._connection = Connection({"Authorization": f"Bearer {token}"})
        self._url = gateway_url
        self._probes = probes
        self._addresses = addresses

    def __call__(self, number: int, stopped: threading.Event) -> Answer:
        probe = self._probes[number % len(self._probes)]
        address = {"X-Forwarded-For": client_address(number % self._addresses)} if self._addresses else None
        return self._connection.call(probe.method, self._url + probe.path, probe.body, address, probe.accepts)


def client_address(number: int) -> str:
    """An address out of the range that is kept for benchmarks (RFC 2544)."""
    return f"198.18.{number // 250}.{number % 250 + 1}"


def fresh_ids() -> Iterator[int]:
    """Ids that no earlier run has used; each is taken by one thread."""
    return iter(range(time.time_ns() // 1000, 2**63))


def _reason(error: requests.RequestException) -> str:
    innermost: BaseException = error
    while innermost.__context__ is not None:
        innermost = innermost.__context__
    return f"{type(error).__name__}: {innermost}"[:160]
