"""Whether the cluster is settled, and whether every replica holds every acknowledged point."""

from collections.abc import Mapping, Sequence
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

NO_REPLICAS: Mapping[str, Any] = {"local_shards": [], "remote_shards": []}  # a node without the collection


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The addresses of its nodes, and the collection they hold (its own name, no alias)."""

    node_urls: Sequence[str]
    api_key: str
    collection: str
    dimensions: int
    shards: int
    factor: int

    @property
    def points(self) -> Points:
        """The collection's points, through any node that answers."""
        return Points(Nodes.at(self.node_urls, self.api_key), self.collection)

    def degraded_reasons(self) -> list[str]:
        """Why this is not one settled cluster with every replica Active on its declared peers; empty when it is."""
        nodes = [QdrantApi(url, self.api_key, timeout_seconds=3) for url in self.node_urls]
        views = observe_nodes(nodes)
        if reasons := unsettled(views):
            return reasons
        return [
            f"shard {shard} has {copies} of {self.factor} Active replicas, as {view.url} reports"
            for view in views
            for shard in range(self.shards)
            if (copies := len(active_peers(view.collections.get(self.collection, NO_REPLICAS), shard))) != self.factor
        ]


@dataclass(frozen=True)
class Audit:
    """Acknowledged points that a node does not have, or has with another vector: node -> ids."""

    missing: Mapping[str, list[int]] = field(default_factory=dict)
    altered: Mapping[str, list[int]] = field(default_factory=dict)

    @property
    def lost(self) -> set[int]:
        """The ids that are missing or altered on any node."""
        return {point for found in (self.missing, self.altered) for points in found.values() for point in points}


def audit(cluster: Cluster, entries: Mapping[int, str], clock: Clock = SYSTEM_CLOCK) -> Audit:
    """Read every acknowledged point and its vector from every node, each of which answers from its own replicas.

    A difference counts when it is found again. A node that does not answer counts as missing everything.
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
    """A point of the ledger with the vector that follows from its id; ValueError when the fingerprint differs."""
    vector = signs(point, dimensions)
    if fingerprint(vector) != mark:
        raise ValueError(f"expected the ledger to have the fingerprint of point {point}, found another; it was altered")
    return Entry(id=point, vector=vector)
