"""What is declared of a collection, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

# Qdrant keeps these for the life of a collection: only another collection can have others.
FIXED = ("vector_size", "distance", "shard_number")
PARAMS = ("replication_factor", "write_consistency_factor")
SECTIONS = ("hnsw", "optimizers", "quantization", "strict_mode")
# How vectors are kept and shards chosen, where nothing of it is declared: only this fits.
PLAIN_LAYOUT = {
    "vectors": "one unnamed",
    "datatype": "float32",
    "multivector": "none",
    "sparse_vectors": "none",
    "sharding_method": "auto",
}
CHANGEABLE = (*PARAMS, "vectors_on_disk", *SECTIONS, "payload_indexes")
# Of a collection that declares them; in the words of Qdrant's requests.
OPTIONAL = ("vectors", "sparse_vectors", "on_disk_payload")


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
    vectors: Mapping[str, Any] = field(default_factory=dict)  # named ones, in place of one unnamed
    sparse_vectors: Mapping[str, Any] = field(default_factory=dict)
    on_disk_payload: bool | None = None
    keep_previous: bool = True
    layout: Mapping[str, str] = field(default_factory=lambda: dict(PLAIN_LAYOUT))

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> Self:
        """From the inputs of a ReplicatedCollection, of which a state may lack some."""
        given = {each.name: props[each.name] for each in fields(cls) if props.get(each.name) is not None}
        if given.get("vectors") or given.get("sparse_vectors"):
            unnamed = {"size": 0} if given.get("vector_size") else {}
            declared = {key: given[key] for key in OPTIONAL if given.get(key)}
            given["layout"] = layout_of({"vectors": unnamed, **declared})
        return cls(**given)

    @property
    def optional(self) -> tuple[str, ...]:
        """Those of `OPTIONAL` that are declared."""
        return tuple(key for key in OPTIONAL if getattr(self, key) not in (None, {}))


def layout_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters, as a request has them or Qdrant reports them, in the words of `PLAIN_LAYOUT`, and of each name."""
    vectors, sparse = params.get("vectors") or {}, params.get("sparse_vectors") or {}
    unnamed = is_unnamed(vectors)
    found = {
        "vectors": "one unnamed" if unnamed else f"named {', '.join(sorted(vectors)) or 'none'}",
        **_kept(vectors if unnamed else {}),
        "sparse_vectors": ", ".join(sorted(sparse)) or "none",
        "sharding_method": str(params.get("sharding_method") or "auto").lower(),
    }
    for name, each in ({} if unnamed else vectors).items():
        own = {"size": str(each["size"]), "distance": str(each["distance"]), **_kept(each)}
        found |= {f"vectors.{name}.{key}": value for key, value in own.items()}
    modifiers = {name: str((each or {}).get("modifier") or "none").lower() for name, each in sparse.items()}
    return found | {f"sparse_vectors.{name}.modifier": modifier for name, modifier in modifiers.items()}


def is_unnamed(vectors: Mapping[str, Any]) -> bool:
    """Whether these are the parameters of one vector, and not of several by their names."""
    return isinstance(vectors.get("size"), int)


def _kept(vector: Mapping[str, Any]) -> dict[str, str]:
    multivector = vector.get("multivector_config") or {}
    return {
        "datatype": str(vector.get("datatype") or "float32").lower(),
        "multivector": str(multivector.get("comparator", "none")),
    }
