"""The stack that loads, faults and changes are tried on: where it is, what it is made of, who its clients are."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Self

import requests

from ops.corpus import Document
from ops.ingest import index_all
from proof.clients import ASK, READ, SEARCH, WRITE, GatewayClient, Reader, Writer, client_address, fresh_ids
from proof.ledger import Ledger
from proof.own_stack import TOKEN_SECONDS, OwnStack, described, is_up, was_used
from proof.traffic import Client, Stream
from proof.wholeness import Audit, Cluster, audit, await_whole
from providers.qdrant_api import NodeUnreachable, QdrantError

# Below the range that clients are given ports from. Two checkouts of one machine take different slots.
FIRST_PORTS = {
    "qdrantHttpPort": 17333,
    "qdrantGrpcPort": 17334,
    "qdrantStatisticsPort": 17404,
    "qdrantNodePort": 17343,
    "gatewayHttpPort": 17000,
    "gatewayHttpsPort": 17443,
    "gatewayAdminPort": 17001,
    "observabilityPrometheusPort": 17090,
    "observabilityGrafanaPort": 17301,
    "ragIngestPort": 17201,
}
CORPUS = [
    Document(source=name, title=name, text=text)
    for name, text in {
        "open": "Open a file and return a stream. The mode says whether it is read or written, as text or as bytes.",
        "json.loads": "Parse a JSON document out of a string into lists, dictionaries, strings and numbers.",
        "sorted": "Return a new list that holds the items of an iterable in order; a key says what to order by.",
        "shutil.copytree": "Copy a whole folder and everything below it to another place.",
        "os.remove": "Delete the file of a path. A folder is not deleted; that is what rmdir is for.",
        "str.join": "Join strings to one, with the string itself between each two of them.",
        "datetime.strptime": "Parse a date out of a string that is written in a given format.",
    }.items()
]
ADDRESSES = 240  # clients that the gateway tells apart; each may call a hundred times a minute


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is asked a second, over how many kept connections, and how long the calm before a fault is measured."""

    read: float = 60
    search: float = 8
    ask: float = 1
    write: float = 6
    connections: int = 50  # of readers and searchers together
    calm_seconds: float = 15

    @classmethod
    def of(cls, share: float) -> Self:
        """A share of all rates, for a machine that is smaller or busy; as many connections."""
        usual = cls()
        return cls(**{name: getattr(usual, name) * share for name in (READ, SEARCH, ASK, WRITE)})

    def connections_of(self, stream: str) -> int:
        """Searches get their share of the connections, writers and questions a few of their own."""
        searchers = max(1, self.connections // 5)
        return {SEARCH: searchers, READ: max(1, self.connections - searchers)}.get(stream, 4)


def proof_stack() -> OwnStack:
    """The proof's own stack, as yet only described."""
    slot = int(os.environ.get("RAG_TEST_SLOT", "0"))
    ports = {key: port + 500 * slot for key, port in FIRST_PORTS.items()}
    return described("proof", f"rag-proof{slot or ''}", ports, ragReplicas="2")


def make_ready(stack: OwnStack) -> None:
    """Up, as the stack file says, with this machine trusted to name its clients, and a few documents to search.

    What an interrupted run left broken is nobody's: it goes, and a new one comes.
    """
    if was_used(stack) and not (is_up(stack) and not unwhole_after(stack, seconds=20)):
        stack.clear_away()
    stack.up()
    stack.trust_this_machine()
    index_all(stack.ingest(), CORPUS, stack.console)


def unwhole_after(stack: OwnStack, seconds: float) -> list[str]:
    """Wait for one settled cluster behind doors that do their work; returns what is amiss if it does not come."""
    cluster, looks = cluster_of(stack), count()
    return await_whole(lambda: cluster.unwhole() or silent_fronts(stack, next(looks)), seconds)


def cluster_of(stack: OwnStack) -> Cluster:
    """Its Qdrant cluster, and what the stack file promises of it."""
    found, declared = stack.outputs, stack.files.settings().collection
    return Cluster(
        node_urls=found["qdrantNodeUrls"],
        api_key=found["qdrantApiKey"],
        collection=found["physicalCollection"],
        dimensions=declared.vector_size,
        shards=declared.shard_number,
        factor=declared.replication_factor,
    )


def audit_and_remove(stack: OwnStack, entries: Mapping[int, str]) -> Audit:
    """Ask every replica for what a run wrote, and remove it: unindexed points make every later query dearer.

    A cluster that is too broken for that keeps them: what was seen of it must still be told.
    """
    cluster = cluster_of(stack)
    found = audit(cluster, entries)
    with suppress(NodeUnreachable, QdrantError):
        cluster.points.delete(list(entries))
    return found


def streams(stack: OwnStack, pace: Pace, ledger: Ledger) -> Sequence[Stream]:
    """All four kinds of clients; a stream of pace 0 is left out."""
    found, declared = stack.outputs, stack.files.settings().collection
    points = f"{found['qdrantUrl']}/collections/{found['collection']}/points"
    key, size, ids = found["qdrantApiKey"], declared.vector_size, fresh_ids()
    gateway, token = found["gatewayUrl"], stack.token(TOKEN_SECONDS)
    clients: dict[str, Callable[[], Client]] = {
        READ: lambda: Reader(points, key, size),
        SEARCH: lambda: GatewayClient(gateway, token, addresses=ADDRESSES),
        ASK: lambda: GatewayClient(gateway, token, ask=True, addresses=ADDRESSES),
        WRITE: lambda: Writer(points, key, size, ids=ids, ledger=ledger),
    }
    return [
        Stream(name=name, per_second=rate, connections=pace.connections_of(name), connect=connect)
        for name, connect in clients.items()
        if (rate := getattr(pace, name))
    ]


def silent_fronts(stack: OwnStack, look: int) -> list[str]:
    """Which of the stack's doors do not do their work; `look` makes each call another client's."""
    found = stack.outputs
    headers = {"Authorization": f"Bearer {stack.token()}", "X-Forwarded-For": client_address(1000 + look % 1000)}
    gateway = f"{found['gatewayUrl']}/api/v1/rag"
    doors: dict[str, tuple[str, str, dict[str, object] | None]] = {
        "search through the gateway": ("POST", f"{gateway}/search", {"query": "a file", "limit": 1}),
        "a question through the gateway": ("POST", f"{gateway}/query", {"question": "a file"}),
        "the balancer": ("GET", f"{found['balancerUrl']}/healthz", None),
        "ingest": ("GET", f"{found['ingestUrl']}/ready", None),
    }
    return [name for name, (method, url, body) in doors.items() if not _answers(method, url, body, headers)]


def _answers(method: str, url: str, body: dict[str, object] | None, headers: dict[str, str]) -> bool:
    try:
        return requests.request(method, url, json=body, headers=headers, timeout=5).status_code == 200
    except requests.RequestException:
        return False
