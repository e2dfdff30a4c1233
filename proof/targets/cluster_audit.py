"""Is the cluster whole, and is everything that was acknowledged on every replica?"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from access.polling import SYSTEM_CLOCK, Clock
from proof.traffic.vectors import fingerprint, signs
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_view import active_peers, observe_nodes, unsettled
from qdrant_admin.nodes import Nodes
from qdrant_admin.points.client import NodePoints, Points
from qdrant_admin.points.comparison import Entry, check_ledger
from qdrant_admin.points.equality import MISSING

NOWHERE: Mapping[str, Any] = {"local_shards": [], "remote_shards": []}  # a node that does not know the collection
LOOKS, PAUSE_SECONDS = 3, 0.5  # as the gate between two nodes: one look is not enough


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where its nodes are, and what collection they hold (its own name, no alias)."""

    node_urls: Sequence[str]
    api_key: str
    collection: str
    dimensions: int
    shards: int
    factor: int

    @property
    def points(self) -> Points:
        """The collection's points, through whichever node answers."""
        return Points(Nodes.at(self.node_urls, self.api_key), self.collection)

    def degraded_reasons(self) -> list[str]:
        """Why this is not one settled cluster with every replica Active on its declared peers; empty when it is."""
        nodes = [QdrantApi(url, self.api_key, timeout_seconds=3) for url in self.node_urls]
        views = observe_nodes(nodes)
        if reasons := unsettled(views):
            return reasons
        return [
            f"shard {shard} has {copies} of {self.factor} Active replicas, seen from {view.url}"
            for view in views
            for shard in range(self.shards)
            if (copies := len(active_peers(view.collections.get(self.collection, NOWHERE), shard))) != self.factor
        ]


def await_recovery(look: Callable[[], list[str]], seconds: float) -> list[str]:
    """Wait until three looks in a row find nothing amiss; else what the last one found."""
    deadline, baseline_start = time.monotonic() + seconds, 0
    while baseline_start < LOOKS:
        reasons = look()
        baseline_start = 0 if reasons else baseline_start + 1
        if reasons and time.monotonic() > deadline:
            return reasons
        time.sleep(PAUSE_SECONDS)
    return []


@dataclass(frozen=True)
class Audit:
    """Where acknowledged points are not, or not as they were written: node -> ids."""

    missing: Mapping[str, list[int]] = field(default_factory=dict)
    altered: Mapping[str, list[int]] = field(default_factory=dict)

    @property
    def lost(self) -> set[int]:
        """The ids that some node misses, or has otherwise."""
        return {point for found in (self.missing, self.altered) for points in found.values() for point in points}


def audit(cluster: Cluster, entries: Mapping[int, str], clock: Clock = SYSTEM_CLOCK) -> Audit:
    """Ask every node, which answers out of its own copies, for every acknowledged point, and for its vector.

    What differs is looked at again before it is believed. A node that does not answer has lost everything, as far as
    anybody can tell.
    """
    missing: dict[str, list[int]] = {}
    altered: dict[str, list[int]] = {}
    ledger = [_entry(point, mark, cluster.dimensions) for point, mark in entries.items()]
    for url in cluster.node_urls:
        try:
            copy = NodePoints(url, cluster.api_key).points(cluster.collection, clock)
            findings = check_ledger([copy], ledger)
        except (NodeUnreachable, QdrantError):
            missing[url] = sorted(entries)
            continue
        for finding in findings:
            found = missing if finding.what == MISSING else altered
            found.setdefault(url, []).append(int(finding.id))
    return Audit(missing, altered)


def _entry(point: int, mark: str, dimensions: int) -> Entry:
    """What the ledger says of a point; its vector can be told from its id, and must be the one that was noted."""
    vector = signs(point, dimensions)
    if fingerprint(vector) != mark:
        raise ValueError(f"expected the ledger to have the fingerprint of point {point}, found another; it was altered")
    return Entry(id=point, vector=vector)
