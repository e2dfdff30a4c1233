"""A target before and after an experiment: made ready, waited for until it has recovered, audited."""

from collections.abc import Mapping
from contextlib import suppress
from itertools import count

import requests

from access.direct import direct_request
from access.kubernetes.tunnel import local
from access.polling import SYSTEM_CLOCK, Clock, PollTimeout, poll, require_none
from ops.corpus import Document
from ops.ingest import index_all
from proof.targets.cluster_audit import Audit, Cluster, audit
from proof.targets.proof_stack import ProofStack
from proof.targets.target import Target
from proof.traffic.clients import QUERIES, SEARCHES, Probe, client_address
from qdrant_admin.api import NodeUnreachable, QdrantError

PROBES = 3  # as the gate between two nodes: one good probe is not enough
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


def make_ready(target: Target) -> None:
    """Bring it up with client addresses trusted and a few documents indexed.

    What an interrupted run left degraded is purged first.
    """
    stack = target.stack
    if stack.has_state() and not (stack.is_up() and not degraded_reasons(stack, timeout_seconds=20)):
        target.purge()
    stack.up()
    target.trust_forwarded_addresses()
    if stack.outputs["ingestUrl"]:
        index_all(stack.ingest(), CORPUS, stack.console)


def degraded_reasons(stack: ProofStack, timeout_seconds: float, clock: Clock = SYSTEM_CLOCK) -> list[str]:
    """Wait for one settled cluster behind endpoints that answer; returns why it is not one, empty when it is."""
    cluster, attempts = cluster_of(stack), count()

    def recovered() -> None:
        require_none(cluster.degraded_reasons() or failing_endpoints(stack, next(attempts)))

    try:
        poll(recovered, timeout_seconds, expected="a settled cluster", consecutive=PROBES, clock=clock)
    except PollTimeout as error:
        return [error.found]
    return []


def cluster_of(stack: ProofStack) -> Cluster:
    """Its Qdrant cluster, and what the stack file declares of it."""
    found, declared = stack.outputs, stack.settings.collection
    return Cluster(
        node_urls=[local(url) for url in found["qdrantNodeUrls"]],
        api_key=found["qdrantApiKey"],
        collection=found["physicalCollection"],
        dimensions=declared.vector_size,
        shards=declared.shard_number,
        factor=declared.replication_factor,
    )


def audit_and_remove(stack: ProofStack, entries: Mapping[int, str]) -> Audit:
    """Read back what a run wrote from every replica, and delete it: unindexed points slow every later query.

    A cluster that is too degraded for that keeps the points; the audit is returned all the same.
    """
    cluster = cluster_of(stack)
    found = audit(cluster, entries)
    with suppress(NodeUnreachable, QdrantError):
        cluster.points.delete(list(entries))
    return found


def failing_endpoints(stack: ProofStack, attempt: int) -> list[str]:
    """The endpoints that do not answer with 200; each attempt comes from another client address."""
    found = stack.outputs
    headers = stack.bearer() | {"X-Forwarded-For": client_address(1000 + attempt % 1000)}
    probes = [Probe(**probe) for probe in stack.probes] or [SEARCHES[0], QUERIES[0]]
    failing = [f"{probe.method} {probe.path}" for probe in probes if not _answers(found["gatewayUrl"], probe, headers)]
    healths = {"the balancer": ("balancerUrl", "/healthz"), "ingest": ("ingestUrl", "/ready")}
    for name, (output, where) in healths.items():
        if found[output] and not _answers(found[output], Probe(method="GET", path=where), headers):
            failing.append(name)
    return failing


def _answers(url: str, probe: Probe, headers: dict[str, str]) -> bool:
    at = local(url) + probe.path
    try:
        answer = direct_request(probe.method, at, json=probe.body, headers=headers, timeout=5)
    except requests.RequestException:
        return False
    return probe.accepts(answer)
