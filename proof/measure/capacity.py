"""Queries a second and memory of a point in a bare cluster as it grows, without gateway and balancer."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import docker
import requests

from access.direct import direct_request, direct_session
from access.docker_engine import archive
from access.polling import poll, require
from components.qdrant.cluster import REST, START_SCRIPT
from proof.report.report import Figures, Measure, Section
from proof.traffic.clients import Connection
from proof.traffic.vectors import signs

SIZES = (1, 3, 5)
COPIES = 2  # of every shard, where there are nodes enough
SHARDS = 6
DIMENSIONS = 384
READERS = 16
BATCH = 200
NAME = "rag-capacity"
COLLECTION = "capacity"
STORAGE = "/qdrant/storage"
PER_POINTS = 100_000
JOIN_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One size of cluster: queries a second, and memory in MiB of all nodes together, empty and full."""

    nodes: int
    copies: int
    queries_per_second: float
    failed: int
    empty_mib: float
    full_mib: float
    points: int

    @property
    def mib_per_100_000(self) -> float:
        """Of all copies together."""
        return (self.full_mib - self.empty_mib) / self.points * PER_POINTS


def run(engine: docker.DockerClient, image: str, *, points: int, seconds: float) -> Section:
    """Measure each size in turn, on a network of its own that goes afterwards."""
    measured = []
    for nodes in SIZES:
        with cluster(engine, image, nodes) as containers:
            measured.append(measure(containers, points=points, seconds=seconds))
    return Section(name="capacity", title="A bare cluster as it grows", verdicts=[], figures=[figures(measured)])


@contextlib.contextmanager
def cluster(engine: docker.DockerClient, image: str, nodes: int) -> Iterator[list[Any]]:
    """A cluster of so many nodes."""
    network = engine.networks.create(NAME, driver="bridge")
    containers: list[Any] = []
    try:
        for ordinal in range(nodes):
            containers.append(_node(engine, image, network.name, ordinal, nodes))
            expected = f"node {ordinal} to join"
            poll(lambda: _joined(containers), JOIN_SECONDS, expected=expected, not_yet=(requests.RequestException,))
        yield containers
    finally:
        for container in containers:
            container.remove(force=True, v=True)
        network.remove()


def _node(engine: docker.DockerClient, image: str, network: str, ordinal: int, nodes: int) -> Any:
    name = f"{NAME}-{ordinal}"
    container = engine.containers.create(
        image,
        entrypoint=["bash", "/qdrant/start_node.sh", str(nodes)],
        name=name,
        hostname=name,
        network=network,
        environment={"QDRANT__CLUSTER__ENABLED": "true", "QDRANT__TELEMETRY_DISABLED": "true"},
        ports={f"{REST}/tcp": ("127.0.0.1", None)},
        init=True,
    )
    files = {"start_node.sh": START_SCRIPT} | ({"storage/may-found": ""} if ordinal == 0 else {})
    container.put_archive("/qdrant", archive(files))
    container.start()
    container.reload()
    return container


def url_of(container: Any) -> str:
    """Where its REST port is on this machine."""
    container.reload()
    return f"http://127.0.0.1:{container.ports[f'{REST}/tcp'][0]['HostPort']}"


def _joined(containers: Sequence[Any]) -> None:
    """NotYet unless every node is a voter and knows as many peers as there are nodes."""
    for container in containers:
        view = direct_request("GET", f"{url_of(container)}/cluster", timeout=3).json()["result"]
        require(len(view["peers"]) == len(containers) and view["raft_info"]["is_voter"], f"{len(view['peers'])} peers")


def measure(containers: Sequence[Any], *, points: int, seconds: float) -> Measured:
    """Fill it, read its memory, and query as fast as it answers: a capacity, and so a closed loop."""
    urls, copies = [url_of(container) for container in containers], min(COPIES, len(containers))
    body = {"vectors": {"size": DIMENSIONS, "distance": "Cosine"}, "shard_number": SHARDS, "replication_factor": copies}
    direct_request("PUT", f"{urls[0]}/collections/{COLLECTION}?timeout=60", json=body, timeout=65).raise_for_status()
    empty = sum(map(_memory_mib, containers))
    _fill(urls[0], points)
    full = sum(map(_memory_mib, containers))
    answered, failed = _ask(urls, seconds)
    return Measured(
        nodes=len(containers),
        copies=copies,
        queries_per_second=answered / seconds,
        failed=failed,
        empty_mib=empty,
        full_mib=full,
        points=points,
    )


def _memory_mib(container: Any) -> float:
    """Without the page cache, which the system can reclaim."""
    stats = container.stats(stream=False)["memory_stats"]
    details = stats.get("stats", {})
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return float(stats["usage"] - cache) / 2**20


def _fill(url: str, points: int) -> None:
    session = direct_session()
    for start in range(0, points, BATCH):
        batch = [{"id": n, "vector": signs(n, DIMENSIONS)} for n in range(start, min(start + BATCH, points))]
        session.put(
            f"{url}/collections/{COLLECTION}/points?wait=true", json={"points": batch}, timeout=60
        ).raise_for_status()


def _ask(urls: Sequence[str], seconds: float) -> tuple[int, int]:
    """So many readers on kept connections, spread over the nodes; returns the calls answered and failed."""
    end = time.monotonic() + seconds

    def read(reader: int) -> tuple[int, int]:
        connection, number, answered, failed = Connection({}), reader, 0, 0
        url = f"{urls[reader % len(urls)]}/collections/{COLLECTION}/points/query"
        while time.monotonic() < end:
            number += READERS
            answer = connection.call("POST", url, {"query": signs(-number, DIMENSIONS), "limit": 10})
            answered, failed = answered + answer.answered, failed + (not answer.answered)
        return answered, failed

    with ThreadPoolExecutor(READERS) as readers:
        counts = list(readers.map(read, range(READERS)))
    return sum(answered for answered, _ in counts), sum(failed for _, failed in counts)


def figures(measured: Sequence[Measured]) -> Figures:
    """A row for each size, against the smallest."""
    first = measured[0]
    rows = [
        Measure(
            name=f"nodes: {each.nodes}, copies: {each.copies}",
            cells=[
                f"{each.queries_per_second:,.0f}",
                f"{each.queries_per_second / max(first.queries_per_second, 1e-9):.2f}",
                str(each.failed),
                f"{each.empty_mib:,.0f} MiB",
                f"{each.mib_per_100_000:,.0f} MiB",
            ],
        )
        for each in measured
    ]
    columns = ["queries a second", "/ smallest", "failed", "memory, empty", "memory per 100,000 points, all copies"]
    note = f"{first.points:,} points of {DIMENSIONS} dimensions, {READERS} readers on the same machine as all nodes."
    return Figures(title="Queries and memory", columns=columns, rows=rows, note=note)
