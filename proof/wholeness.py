"""Is the cluster whole, and is everything that was acknowledged on every replica?"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from proof.ledger import batches
from proof.vectors import fingerprint
from providers.cluster_view import active_peers, look, unsettled
from providers.qdrant_api import QdrantApi

NOWHERE: Mapping[str, Any] = {"local_shards": [], "remote_shards": []}  # a node that does not know the collection
LOOKS, PAUSE_SECONDS = 3, 0.5  # as the gate between two nodes: one look is not enough


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where its nodes are, and what collection they hold (its own name, no alias)."""

    node_urls: Sequence[str]
    api_key: str
    collection: str
    shards: int
    factor: int

    def unwhole(self) -> list[str]:
        """Why this is not one settled cluster with every replica Active on its declared peers; empty when it is."""
        nodes = [QdrantApi(url, self.api_key, timeout_seconds=3) for url in self.node_urls]
        views = look(nodes)
        if reasons := unsettled(views):
            return reasons
        return [
            f"shard {shard} has {copies} of {self.factor} Active replicas, seen from {view.url}"
            for view in views
            for shard in range(self.shards)
            if (copies := len(active_peers(view.collections.get(self.collection, NOWHERE), shard))) != self.factor
        ]


def await_whole(look: Callable[[], list[str]], seconds: float) -> list[str]:
    """Wait until three looks in a row find nothing amiss; else what the last one found."""
    deadline, calm = time.monotonic() + seconds, 0
    while calm < LOOKS:
        reasons = look()
        calm = 0 if reasons else calm + 1
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


def audit(cluster: Cluster, entries: Mapping[int, str]) -> Audit:
    """Ask every node for every acknowledged point, each answer to be agreed on by all replicas of its shard.

    A node answers for the shards it holds out of its own replica, and `consistency=all` makes it ask the others too.
    A node that does not answer has lost everything, as far as anybody can tell.
    """
    missing, altered = {}, {}
    for url in cluster.node_urls:
        found: dict[int, str] = {}
        for ids in batches(entries):
            found |= _points(cluster, url, ids)
        if absent := sorted(entries.keys() - found.keys()):
            missing[url] = absent
        if wrong := sorted(point for point, mark in found.items() if mark != entries[point]):
            altered[url] = wrong
    return Audit(missing, altered)


def _points(cluster: Cluster, url: str, ids: list[int]) -> dict[int, str]:
    try:
        answer = requests.post(
            f"{url}/collections/{cluster.collection}/points",
            params={"consistency": "all"},
            json={"ids": ids, "with_payload": False, "with_vector": True},
            headers={"api-key": cluster.api_key},
            timeout=60,
        )
        answer.raise_for_status()
    except requests.RequestException:
        return {}
    points: list[dict[str, Any]] = answer.json()["result"]
    return {point["id"]: fingerprint(point["vector"]) for point in points}
