"""What is declared of a collection, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

# Qdrant keeps these for the life of a collection: only another collection can have others.
FIXED = ("vector_size", "distance", "shard_number")
PARAMS = ("replication_factor", "write_consistency_factor")
SECTIONS = ("hnsw", "optimizers", "quantization", "strict_mode")
# How vectors are kept and shards chosen; nothing of it is declared, so that only this fits.
PLAIN_LAYOUT = {
    "vectors": "one unnamed",
    "datatype": "float32",
    "multivector": "none",
    "sparse_vectors": "none",
    "sharding_method": "auto",
}
CHANGEABLE = (*PARAMS, "vectors_on_disk", *SECTIONS, "payload_indexes")


@dataclass(frozen=True, kw_only=True)
class CollectionSpec:
    """A collection and the alias that serves it; of a section, only the declared settings count.

    A resource that is imported has a name and an alias only: nothing else is known of it, and nothing is compared.
    """

    name: str
    alias: str
    vector_size: int | None = None
    distance: str | None = None
    shard_number: int = 0
    replication_factor: int = 0
    write_consistency_factor: int = 0
    vectors_on_disk: bool = False
    hnsw: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] = field(default_factory=dict)
    strict_mode: Mapping[str, Any] = field(default_factory=dict)
    payload_indexes: Mapping[str, Any] = field(default_factory=dict)
    keep_previous: bool = True
    layout: Mapping[str, str] = field(default_factory=lambda: dict(PLAIN_LAYOUT))

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> Self:
        """From the inputs of a ReplicatedCollection, of which a state may lack some."""
        return cls(**{each.name: props[each.name] for each in fields(cls) if each.name in props})
