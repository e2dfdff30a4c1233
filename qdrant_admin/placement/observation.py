"""What all nodes of a cluster report of one collection at one moment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qdrant_admin.cluster_view import active_peers, replicas
from qdrant_admin.nodes import Nodes, View
from qdrant_admin.placement.plan import Drop, ReplicaPlan, Step


@dataclass(frozen=True, kw_only=True)
class PlacementObservation:
    """`peers` are the cluster's members; `views` are by URL, None from a node that does not answer."""

    name: str
    peers: frozenset[int]
    views: dict[str, View | None]

    @property
    def answered(self) -> list[View]:
        return [view for view in self.views.values() if view]

    @property
    def silent(self) -> frozenset[int]:
        """Members that did not answer."""
        return self.peers - {view["peer_id"] for view in self.answered}

    @property
    def transfers(self) -> list[dict[str, Any]]:
        return [transfer for view in self.answered[:1] for transfer in view["shard_transfers"]]

    @property
    def placed(self) -> dict[int, dict[int, str]]:
        return replicas(self.answered[0]) if self.answered else {}

    @property
    def recovering(self) -> frozenset[tuple[int, int]]:
        """Replicas, as (shard, peer), that are not Active."""
        return frozenset((s, p) for s, on in self.placed.items() for p, state in on.items() if state != "Active")

    @property
    def agreed(self) -> bool:
        """Whether all nodes that answer report the same replicas in the same states."""
        return bool(self.answered) and all(replicas(view) == self.placed for view in self.answered)

    def progress(self) -> Any:
        """Something that differs from that of an earlier observation as long as anything moves."""
        grown = [
            (view["peer_id"], shard["shard_id"], shard.get("points_count"))
            for view in self.answered
            for shard in view["local_shards"]
            if shard["state"] != "Active"
        ]
        moved = [(t["shard_id"], t["to"], re.findall(r"\d+/\d+", t.get("comment") or "")) for t in self.transfers]
        return self.silent, [replicas(view) for view in self.answered], grown, moved

    def next_step(self, plan: ReplicaPlan) -> Step | None:
        """The first step that can be taken now; none while a transfer is under way or the nodes do not agree.

        No silent node has a part in it, and after a drop every node still reports an Active copy of the shard.
        """
        if self.transfers or not self.agreed:
            return None
        return next((step for step in plan.steps if not _parts(step) & self.silent and self._is_safe(step)), None)

    def _is_safe(self, step: Step) -> bool:
        if not isinstance(step, Drop):
            return True
        return all(active_peers(view, step.shard) & self.peers - {step.peer} for view in self.answered)

    def remaining(self, plan: ReplicaPlan) -> list[str]:
        """Why the replicas are not yet where the plan puts them, by any node; empty when they are."""
        return [*self._left(plan)]

    def _left(self, plan: ReplicaPlan) -> Iterator[str]:
        for url, view in self.views.items():
            if view is None:
                yield f"{url} does not know the collection, or does not answer"
        if self.answered and not self.agreed:
            yield "the nodes do not agree on where the replicas are"
        for transfer in self.transfers:
            yield f"shard {transfer['shard_id']} is being copied from peer {transfer['from']} to {transfer['to']}"
        for shard, peer in sorted(self.recovering):
            yield f"shard {shard} is {self.placed[shard][peer]} on peer {peer}"
        yield from (f"still to {describe(step)}" for step in plan.steps)
        yield from (*plan.waiting, *plan.unmet)


def describe(step: Step) -> str:
    """A step in words."""
    if isinstance(step, Drop):
        return f"drop shard {step.shard} from peer {step.peer}"
    return f"copy shard {step.shard} from peer {step.from_peer} to peer {step.to_peer}"


def _parts(step: Step) -> set[int]:
    return {step.peer} if isinstance(step, Drop) else {step.from_peer, step.to_peer}


def observe_placement(nodes: Nodes, name: str) -> PlacementObservation:
    """Ask for the members of the cluster, and every node for its view of the collection."""
    peers = nodes.first(lambda node: node.cluster())["peers"]
    return PlacementObservation(name=name, peers=frozenset(map(int, peers)), views=nodes.views(name))
