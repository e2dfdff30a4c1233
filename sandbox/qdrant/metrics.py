"""The Prometheus text of /metrics: the names, types and gaps of Qdrant 1.19."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from node import Node

VERSION = "1.19.1"
POINTS = "/collections/{collection_name}/points"
SEARCHES = ("count", "delete", "query", "query/batch", "scroll", "search", "search/batch")
COUNTED = {"/collections/{collection_name}/index", POINTS, *(f"{POINTS}/{name}" for name in SEARCHES)}
BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Responses:
    """Counts REST answers of the whitelisted endpoints; a series exists from its first answer, timings only for 200."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}  # sum, min, max, number, then the number below each bound

    def add(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        if endpoint in COUNTED:
            series = self._seconds.setdefault(
                f'method="{method}",endpoint="{endpoint}",status="{status}"', [0, seconds, 0, 0] + [0] * len(BUCKETS)
            )
            total, low, high, number, *below = series
            below = [count + (seconds <= bound) for count, bound in zip(below, BUCKETS, strict=True)]
            series[:] = [total + seconds, min(low, seconds), max(high, seconds), number + 1, *below]

    def lines(self) -> Iterator[str]:
        timed = {labels: s for labels, s in self._seconds.items() if 'status="200"' in labels}
        yield from family("rest_responses_total", "counter", {labels: s[3] for labels, s in self._seconds.items()})
        yield from family("rest_responses_avg_duration_seconds", "gauge", {k: s[0] / s[3] for k, s in timed.items()})
        yield from family("rest_responses_min_duration_seconds", "gauge", {k: s[1] for k, s in timed.items()})
        yield from family("rest_responses_max_duration_seconds", "gauge", {k: s[2] for k, s in timed.items()})
        name = "rest_responses_duration_seconds"
        yield from (f"# TYPE {name} histogram" for _ in timed if _ == next(iter(timed)))
        for labels, (total, _, _, number, *below) in timed.items():
            for bound, count in zip([*BUCKETS, "+Inf"], [*below, number], strict=True):
                yield f'{name}_bucket{{{labels},le="{bound}"}} {count:g}'
            yield from (f"{name}_sum{{{labels}}} {total}", f"{name}_count{{{labels}}} {number:g}")


def family(name: str, kind: str, values: dict[str, float] | float) -> Iterator[str]:
    """One metric with its series by label text; nothing at all when there are none."""
    series = values if isinstance(values, dict) else {"": values}
    if series:
        yield f"# TYPE {name} {kind}"
    for labels, value in series.items():
        yield f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"


def page(node: Node, responses: Responses) -> str:
    return "\n".join([*_collections(node), *_cluster(node), *responses.lines(), *_process()]) + "\n"


def _collections(node: Node) -> Iterator[str]:
    collections = node.metadata.collections.values()
    states = [list(replicas.values()) for c in collections for replicas in c.shards.values()]
    active = [replicas.count("Active") for replicas in states]
    points = {c.name: sum(s.count({}) for (uid, _), s in node.shards.items() if uid == c.uid) for c in collections}
    by_id = {f'id="{name}"': float(count) for name, count in points.items()}
    nothing = dict.fromkeys(by_id, 0.0)
    moving = {
        f"collection_shard_transfer_{way}": {
            f'id="{c.name}"': float(sum(getattr(t, end) == node.me for t in c.transfers)) for c in collections
        }
        for way, end in (("incoming", "target"), ("outgoing", "source"))
    }
    yield from family("app_info", "gauge", {f'name="qdrant",version="{VERSION}"': 1})
    yield from family("app_status_recovery_mode", "gauge", 0)
    yield from family("collections_total", "gauge", len(collections))
    yield from family("collections_vector_total", "gauge", sum(points.values()))
    yield from family("collection_vectors", "gauge", {f'collection="{n}",vector=""': p for n, p in points.items()})
    yield from family("collection_active_replicas_min", "gauge", min(active, default=0))
    yield from family("collection_active_replicas_max", "gauge", max(active, default=0))
    yield from family("collection_points", "gauge", by_id)
    yield from family("collection_dead_replicas", "gauge", sum(set(replicas) != {"Active"} for replicas in states))
    for name, values in moving.items():
        yield from family(name, "gauge", values)
    for name in ("running_optimizations", "update_queue_length", "update_queue_deferred_points"):
        yield from family(f"collection_{name}", "gauge", nothing)
    yield from family("snapshot_creation_running", "gauge", nothing)
    yield from family("snapshot_recovery_running", "gauge", nothing)
    yield from family("snapshot_created_total", "counter", nothing)


def _cluster(node: Node) -> Iterator[str]:
    raft = node.raft
    yield from family("cluster_enabled", "gauge", 1)
    yield from family("cluster_peers_total", "gauge", len(node.metadata.peers))
    yield from family("cluster_term", "counter", raft.term)
    yield from family("cluster_commit", "counter", {f'peer_id="{raft.me}"': raft.commit})
    yield from family("cluster_pending_operations_total", "gauge", len(raft.log) - raft.commit)
    yield from family("cluster_voter", "gauge", int(raft.is_voter))
    yield from family("cluster_last_update_timestamp_seconds", "counter", int(raft.updated))
    yield from family("cluster_working_state", "gauge", {'state="working"': 1, 'state="stopped"': 0})


def _process() -> Iterator[str]:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    used = resource.getrusage(resource.RUSAGE_SELF)
    for name in ("active", "allocated", "resident"):
        yield from family(f"memory_{name}_bytes", "gauge", resident)
    yield from family("process_threads", "gauge", len(os.listdir("/proc/self/task")))
    yield from family("process_open_mmaps", "gauge", Path("/proc/self/maps").read_text().count("\n"))
    yield from family("system_max_mmaps", "gauge", int(Path("/proc/sys/vm/max_map_count").read_text()))
    yield from family("process_open_fds", "gauge", len(os.listdir("/proc/self/fd")))
    yield from family("process_max_fds", "gauge", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from family("process_minor_page_faults_total", "counter", used.ru_minflt)
    yield from family("process_major_page_faults_total", "counter", used.ru_majflt)
