"""The stack that loads, faults and changes are tried on: where it is, what it is made of, who its clients are."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from itertools import count
from typing import Protocol

import requests

from access.kubernetes.tunnel import local
from ops.corpus import Document
from ops.ingest import index_all
from proof.targets.cluster_audit import Audit, Cluster, audit, await_recovery
from proof.targets.docker_stack import TOKEN_SECONDS, OwnStack, described, is_up, was_used
from proof.traffic.calls import Call
from proof.traffic.clients import client_address
from proof.traffic.endpoints import Endpoints, Pace, streams
from proof.traffic.generator import Traffic
from proof.traffic.ledger import Ledger
from qdrant_admin.api import NodeUnreachable, QdrantError

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


class Clients(Protocol):
    """Clients that are at work; `calls` is complete when they have ended."""

    @property
    def calls(self) -> list[Call]: ...

    def wait_for(self, calls: int, stream: str) -> float:
        """Wait until the stream has made so many calls from now on; returns the time."""


TrafficFactory = Callable[[OwnStack, Pace, Ledger], AbstractContextManager[Clients]]


def proof_stack() -> OwnStack:
    """The proof's own stack, as yet only described."""
    slot = int(os.environ.get("RAG_TEST_SLOT", "0"))
    ports = {key: port + 500 * slot for key, port in FIRST_PORTS.items()}
    return described("proof", f"rag-proof{slot or ''}", ports, ragReplicas="2")


def make_ready(stack: OwnStack) -> None:
    """Up, as the stack file says, with this machine trusted to name its clients, and a few documents to search.

    What an interrupted run left broken is nobody's: it goes, and a new one comes.
    """
    if was_used(stack) and not (is_up(stack) and not degraded_reasons_after(stack, seconds=20)):
        stack.clear_away()
    stack.up()
    stack.trust_this_machine()
    index_all(stack.ingest(), CORPUS, stack.console)


def degraded_reasons_after(stack: OwnStack, seconds: float) -> list[str]:
    """Wait for one settled cluster behind doors that do their work; returns what is amiss if it does not come."""
    cluster, looks = cluster_of(stack), count()
    return await_recovery(lambda: cluster.degraded_reasons() or silent_fronts(stack, next(looks)), seconds)


def cluster_of(stack: OwnStack) -> Cluster:
    """Its Qdrant cluster, and what the stack file promises of it."""
    found, declared = stack.outputs, stack.files.settings().collection
    return Cluster(
        node_urls=[local(url) for url in found["qdrantNodeUrls"]],
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


def endpoints_of(stack: OwnStack) -> Endpoints:
    """Where clients of a stack on this machine go in; the gateway must believe it who calls."""
    found = stack.outputs
    return Endpoints(
        points_url=f"{found['qdrantUrl']}/collections/{found['collection']}/points",
        api_key=found["qdrantApiKey"],
        dimensions=stack.files.settings().collection.vector_size,
        gateway_url=found["gatewayUrl"],
        token=stack.token(TOKEN_SECONDS),
        addresses=ADDRESSES,
    )


def start_traffic(stack: OwnStack, pace: Pace, ledger: Ledger) -> Traffic:
    """Clients in this process."""
    return Traffic(streams(endpoints_of(stack), pace, ledger))


def silent_fronts(stack: OwnStack, look: int) -> list[str]:
    """Which of the stack's doors do not do their work; `look` makes each call another client's."""
    found = stack.outputs
    headers = {"Authorization": f"Bearer {stack.token()}", "X-Forwarded-For": client_address(1000 + look % 1000)}
    gateway = f"{local(found['gatewayUrl'])}/api/v1/rag"
    endpoints: dict[str, tuple[str, str, dict[str, object] | None]] = {
        "search through the gateway": ("POST", f"{gateway}/search", {"query": "a file", "limit": 1}),
        "a question through the gateway": ("POST", f"{gateway}/query", {"question": "a file"}),
        "the balancer": ("GET", f"{local(found['balancerUrl'])}/healthz", None),
        "ingest": ("GET", f"{local(found['ingestUrl'])}/ready", None),
    }
    return [name for name, (method, url, body) in endpoints.items() if not _answers(method, url, body, headers)]


def _answers(method: str, url: str, body: dict[str, object] | None, headers: dict[str, str]) -> bool:
    try:
        return requests.request(method, url, json=body, headers=headers, timeout=5).status_code == 200
    except requests.RequestException:
        return False
