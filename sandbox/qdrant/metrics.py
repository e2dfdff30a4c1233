"""The Prometheus text of /metrics, with the names, the types and the gaps of Qdrant 1.19."""

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.qdrant.node import Node

VERSION = "1.19.1"
POINTS = "/collections/{collection_name}/points"
COUNTED = {POINTS, "/collections/{collection_name}/index"} | {
    f"{POINTS}/{name}" for name in ("count", "delete", "query", "query/batch", "scroll", "search")
}
BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Name, type, and the value: one, or one for each series by its labels.
Families = Iterator[tuple[str, str, float | Mapping[str, float]]]


class Responses:
    """REST answers of the whitelisted endpoints: a series exists from its first answer, timings only for status 200."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        if endpoint in COUNTED:
            labels = f'method="{method}",endpoint="{endpoint}",status="{status}"'
            number, total, low, high, *below = self._seconds.get(labels) or [0, 0, seconds, 0] + [0] * len(BOUNDS)
            below = [count + (seconds <= bound) for count, bound in zip(below, BOUNDS, strict=True)]
            self._seconds[labels] = [number + 1, total + seconds, min(low, seconds), max(high, seconds), *below]

    def families(self) -> Families:
        timed = {labels: seen for labels, seen in self._seconds.items() if 'status="200"' in labels}
        yield "rest_responses_total", "counter", {labels: seen[0] for labels, seen in self._seconds.items()}
        yield "rest_responses_avg_duration_seconds", "gauge", {labels: s[1] / s[0] for labels, s in timed.items()}
        yield "rest_responses_min_duration_seconds", "gauge", {labels: s[2] for labels, s in timed.items()}
        yield "rest_responses_max_duration_seconds", "gauge", {labels: s[3] for labels, s in timed.items()}

    def histogram(self) -> Iterator[str]:
        name = "rest_responses_duration_seconds"
        timed = {labels: seen for labels, seen in self._seconds.items() if 'status="200"' in labels}
        yield from [f"# TYPE {name} histogram"] if timed else []
        for labels, (number, total, _, _, *below) in timed.items():
            for bound, count in zip([*BOUNDS, "+Inf"], [*below, number], strict=True):
                yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
            yield from (f"{name}_sum{{{labels}}} {total}", f"{name}_count{{{labels}}} {number}")


def page(node: Node, responses: Responses) -> str:
    lines = []
    for name, kind, value in (*_collections(node), *_cluster(node), *responses.families(), *_process()):
        series = value if isinstance(value, Mapping) else {"": value}
        lines += [f"# TYPE {name} {kind}"] if series else []
        lines += [f"{name}{{{labels}}} {number}" if labels else f"{name} {number}" for labels, number in series.items()]
    return "\n".join([*lines, *responses.histogram(), ""])


def _collections(node: Node) -> Families:
    collections, me = node.metadata.collections.values(), node.raft.me
    shards = [list(replicas.values()) for collection in collections for replicas in collection.shards]
    active = [states.count("Active") for states in shards]
    points = {c.name: sum(s.count({}) for (uid, _), s in node.shards.items() if uid == c.uid) for c in collections}
    none = {f'id="{name}"': 0.0 for name in points}
    yield "app_info", "gauge", {f'name="qdrant",version="{VERSION}"': 1}
    yield "app_status_recovery_mode", "gauge", 0
    yield "collections_total", "gauge", len(collections)
    yield "collections_vector_total", "gauge", sum(points.values())
    yield "collection_vectors", "gauge", {f'collection="{name}",vector=""': count for name, count in points.items()}
    yield "collection_points", "gauge", {f'id="{name}"': count for name, count in points.items()}
    yield "collection_active_replicas_min", "gauge", min(active, default=0)
    yield "collection_active_replicas_max", "gauge", max(active, default=0)
    yield "collection_dead_replicas", "gauge", sum(set(states) != {"Active"} for states in shards)
    for way, end in (("incoming", "target"), ("outgoing", "source")):
        moving = {f'id="{c.name}"': sum(getattr(t, end) == me for t in c.transfers) for c in collections}
        yield f"collection_shard_transfer_{way}", "gauge", moving
    for name in ("running_optimizations", "update_queue_length", "update_queue_deferred_points"):
        yield f"collection_{name}", "gauge", none
    yield "snapshot_creation_running", "gauge", none
    yield "snapshot_recovery_running", "gauge", none
    yield "snapshot_created_total", "counter", none


def _cluster(node: Node) -> Families:
    raft = node.raft
    yield "cluster_enabled", "gauge", int(node.clustered)
    yield "cluster_peers_total", "gauge", len(raft.metadata.peers)
    yield "cluster_term", "counter", raft.term
    yield "cluster_commit", "counter", {f'peer_id="{raft.me}"': raft.commit}
    yield "cluster_pending_operations_total", "gauge", raft.last[1] - raft.commit
    yield "cluster_voter", "gauge", int(raft.is_voter)
    yield "cluster_last_update_timestamp_seconds", "counter", int(raft.updated)
    yield "cluster_working_state", "gauge", {'state="working"': 1, 'state="stopped"': 0}


def _process() -> Families:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "memory_allocated_bytes", "gauge", resident
    yield "memory_resident_bytes", "gauge", resident
    yield "process_threads", "gauge", len(os.listdir("/proc/self/task"))
    yield "process_open_mmaps", "gauge", Path("/proc/self/maps").read_text().count("\n")
    yield "system_max_mmaps", "gauge", int(Path("/proc/sys/vm/max_map_count").read_text())
    yield "process_open_fds", "gauge", len(os.listdir("/proc/self/fd"))
    yield "process_max_fds", "gauge", resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield "process_minor_page_faults_total", "counter", used.ru_minflt
    yield "process_major_page_faults_total", "counter", used.ru_majflt
