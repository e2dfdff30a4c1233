"""How a cluster is reached: its nodes, its key, the ingest role that makes vectors for it, and how long to wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self

from access.polling import SYSTEM_CLOCK, Clock
from qdrant_admin.nodes import Nodes
from qdrant_admin.points.client import NodePoints, Points


@dataclass(frozen=True, kw_only=True)
class ClusterAccess:
    """Nodes by their own addresses, in the order of their ordinals."""

    node_urls: tuple[str, ...]
    api_key: str = field(repr=False)
    ingest_url: str = ""
    ingest_token: str = field(default="", repr=False)
    embedder: str = ""
    timeout_seconds: float = 3600
    stalled_seconds: float = 60  # without any progress of a replica's transfer
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False)

    @classmethod
    def from_props(cls, props: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> Self:
        """From the inputs of a ReplicatedCollection, of which a state may lack some."""
        known = {each.name: props[each.name] for each in fields(cls) if each.name in props}
        return cls(**known | {"node_urls": tuple(props["node_urls"]), "clock": clock})

    @cached_property
    def nodes(self) -> list[NodePoints]:
        """A client of each node."""
        return [NodePoints(url, self.api_key) for url in self.node_urls]

    def peers(self) -> Nodes:
        """All nodes, of which any can be asked for a change."""
        return Nodes(self.nodes, self.clock)

    def points(self, name: str) -> Points:
        """The points of a collection, through whichever node answers."""
        return Points(self.peers(), name)
