"""What the nodes of Qdrant, and their disks, are called in a stack's state, on either platform."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.qdrant.cluster import NODES
from platforms.kubernetes.storage import claim_name, replica_name


def recorded_as(ordinals: Iterable[int]) -> set[str]:
    """Every name that these nodes, or their disks, may have in the state: a volume is called as its container."""
    return {called(NODES, ordinal) for ordinal in ordinals for called in (replica_name, claim_name)}


def recorded_nodes(recorded: Iterable[Mapping[str, Any]]) -> set[int]:
    """Ordinals of the nodes that the state knows, or whose disks it knows; gates and Jobs are no nodes."""
    names = (resource["urn"].rpartition("::")[2] for resource in recorded)
    numbered = [(name, int(end)) for name in names if (end := name.rpartition("-")[2]).isdigit()]
    return {ordinal for name, ordinal in numbered if name in recorded_as([ordinal])}
