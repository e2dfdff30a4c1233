"""The settings of the collection that the stack serves, whose defaults stand in Pulumi.yaml, and of others."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic.alias_generators import to_camel

INDEX_TYPES = ("keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid")
TENANT_TYPES = ("keyword", "uuid")
NAME = r"^[A-Za-z0-9_-]{1,200}$"
Distance = Literal["Cosine", "Dot", "Euclid", "Manhattan"]
VectorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Section(BaseModel):
    """Settings of which each may be left as it is, by not naming it."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    def named(self) -> dict[str, Any]:
        """What is named, and nothing else."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class Hnsw(Section):
    """The index over the vectors."""

    m: int | None = Field(None, ge=0, description="links of a point; 0: no index")
    ef_construct: int | None = Field(None, ge=4)
    full_scan_threshold: int | None = Field(None, ge=0, description="KiB of vectors below which they are scanned")
    max_indexing_threads: int | None = Field(None, ge=0)
    on_disk: bool | None = None
    payload_m: int | None = Field(None, ge=0)


class Optimizers(Section):
    """When segments are merged, vacuumed, indexed and flushed."""

    deleted_threshold: float | None = Field(None, ge=0, le=1)
    vacuum_min_vector_number: int | None = Field(None, ge=100)
    default_segment_number: int | None = Field(None, ge=0)
    max_segment_size: int | None = Field(None, ge=0, description="KiB")
    memmap_threshold: int | None = Field(None, ge=0, description="KiB")
    indexing_threshold: int | None = Field(None, ge=0, description="KiB")
    flush_interval_sec: int | None = Field(None, ge=0)
    max_optimization_threads: int | None = Field(None, ge=0)


class Scalar(Section):
    """A byte for each component."""

    type: Literal["int8"]
    quantile: float | None = Field(None, ge=0.5, le=1)
    always_ram: bool | None = None


class Product(Section):
    """A code for each group of components."""

    compression: Literal["x4", "x8", "x16", "x32", "x64"]
    always_ram: bool | None = None


class Binary(Section):
    """A bit for each component."""

    always_ram: bool | None = None


class Quantization(Section):
    """At most one kind; none at all by default."""

    scalar: Scalar | None = None
    product: Product | None = None
    binary: Binary | None = None

    @model_validator(mode="after")
    def one_kind(self) -> "Quantization":
        if len(kinds := sorted(self.model_fields_set)) > 1:
            raise ValueError(f"expected one kind of quantization, found {' and '.join(kinds)}; keep one of them")
        return self


class StrictMode(Section):
    """What Qdrant refuses of callers."""

    enabled: bool | None = None
    max_query_limit: int | None = Field(None, ge=1)
    max_timeout: int | None = Field(None, ge=1, description="seconds")
    unindexed_filtering_retrieve: bool | None = None
    unindexed_filtering_update: bool | None = None
    search_max_hnsw_ef: int | None = Field(None, ge=1)
    search_allow_exact: bool | None = None
    upsert_max_batchsize: int | None = Field(None, ge=1)
    max_collection_vector_size_bytes: int | None = Field(None, ge=1)
    max_collection_payload_size_bytes: int | None = Field(None, ge=1)
    filter_max_conditions: int | None = Field(None, ge=1)
    condition_max_size: int | None = Field(None, ge=1)

    @field_validator("search_allow_exact")
    @classmethod
    def counts_exactly(cls, allowed: bool | None) -> bool | None:
        if allowed is False:
            raise ValueError(
                "expected true: backup, verify, migrate and blue/green count points exactly, which false refuses; "
                "found false. Leave it out"
            )
        return allowed


class CollectionSettings(BaseModel):
    """The collection that the stack serves."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    name: str = Field(pattern=NAME)
    alias: str = Field(pattern=NAME)
    vector_size: int = Field(ge=1, le=65536)
    distance: Distance
    vectors_on_disk: bool
    shard_number: int = Field(ge=1)
    replication_factor: int = Field(ge=1)
    write_consistency_factor: int = Field(ge=1)
    hnsw: Hnsw
    optimizers: Optimizers
    quantization: Quantization
    payload_indexes: dict[str, str | dict[str, Any]]
    strict_mode: StrictMode
    keep_previous: bool

    @field_validator("payload_indexes")
    @classmethod
    def known_types(cls, indexes: dict[str, str | dict[str, Any]]) -> dict[str, str | dict[str, Any]]:
        for field, schema in indexes.items():
            kind = schema.get("type") if isinstance(schema, dict) else schema
            if kind not in INDEX_TYPES:
                raise ValueError(f"{field}: expected one of {', '.join(INDEX_TYPES)}, found {kind!r}")
            if isinstance(schema, dict) and "is_tenant" in schema and kind not in TENANT_TYPES:
                raise ValueError(
                    f"{field}: expected is_tenant beside {' or '.join(TENANT_TYPES)}, found {kind}, for which Qdrant "
                    "ignores it; leave it out"
                )
        return indexes

    @model_validator(mode="after")
    def consistent(self) -> "CollectionSettings":
        if self.write_consistency_factor > self.replication_factor:
            raise ValueError(
                f"expected a write consistency factor of at most the replication factor "
                f"({self.replication_factor}), found {self.write_consistency_factor}"
            )
        if self.alias == self.name:
            raise ValueError(f"expected an alias other than the collection's name, found {self.alias!r} for both")
        return self

    def declared(self) -> dict[str, Any]:
        """As inputs of the resource: of a section, only what is named."""
        return self.model_dump() | self._sections()

    def _sections(self) -> dict[str, Any]:
        return {
            key: value.named() for key in type(self).model_fields if isinstance(value := getattr(self, key), Section)
        }


class Spelled(BaseModel):
    """In camel case in the stack file; sections keep Qdrant's own words."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, alias_generator=to_camel, populate_by_name=True
    )


class VectorEntry(Spelled):
    """A dense vector by its name; with `multivector` a point has several of them."""

    size: int = Field(ge=1, le=65536)
    distance: Distance = "Cosine"
    datatype: Literal["float32", "float16", "uint8"] = "float32"
    multivector: Literal["max_sim"] | None = None
    on_disk: bool = False
    hnsw: Hnsw = Hnsw.model_validate({})

    def requested(self) -> dict[str, Any]:
        """As Qdrant's requests have it."""
        found: dict[str, Any] = {"size": self.size, "distance": self.distance, "on_disk": self.on_disk}
        found |= {} if self.datatype == "float32" else {"datatype": self.datatype}
        found |= {"multivector_config": {"comparator": self.multivector}} if self.multivector else {}
        return found | ({"hnsw_config": hnsw} if (hnsw := self.hnsw.named()) else {})


class SparseEntry(Spelled):
    """A sparse vector by its name; `idf` weighs each word by how rare it is in the collection."""

    modifier: Literal["none", "idf"] = "none"
    on_disk: bool = False

    def requested(self) -> dict[str, Any]:
        return {"modifier": self.modifier, "index": {"on_disk": self.on_disk}}


class CollectionEntry(CollectionSettings, Spelled):
    """Another collection, for services of your own: one unnamed vector, or named ones, dense and sparse."""

    model_config = Spelled.model_config

    vector_size: int | None = Field(None, ge=1, le=65536)  # type: ignore[assignment]
    distance: Distance = "Cosine"
    vectors: dict[VectorName, VectorEntry] = Field(default_factory=dict)
    sparse_vectors: dict[VectorName, SparseEntry] = Field(default_factory=dict)
    vectors_on_disk: bool = False
    on_disk_payload: bool | None = None
    shard_number: int = Field(6, ge=1)
    replication_factor: int = Field(2, ge=1)
    write_consistency_factor: int = Field(1, ge=1)
    hnsw: Hnsw = Hnsw.model_validate({})
    optimizers: Optimizers = Optimizers.model_validate({})
    quantization: Quantization = Quantization.model_validate({})
    payload_indexes: dict[str, str | dict[str, Any]] = Field(default_factory=dict)
    strict_mode: StrictMode = StrictMode.model_validate({})
    keep_previous: bool = True

    @model_validator(mode="after")
    def vectors_of_one_kind(self) -> "CollectionEntry":
        if bool(self.vector_size) == bool(self.vectors) and not (self.sparse_vectors and not self.vector_size):
            found = "both" if self.vectors else "neither"
            raise ValueError(f"expected vectorSize, or named vectors (vectors, sparseVectors), found {found}; keep one")
        if self.vectors and self.vectors_on_disk:
            raise ValueError("expected onDisk of each of the named vectors, found vectorsOnDisk; move it there")
        return self

    def declared(self) -> dict[str, Any]:
        """As inputs of the resource; what is optional only where it is declared."""
        found = {**self.model_dump(exclude={"vectors", "sparse_vectors", "on_disk_payload"}), **self._sections()}
        if not self.vector_size:
            found["distance"] = None
        for key in ("vectors", "sparse_vectors"):
            if entries := getattr(self, key):
                found[key] = {name: entry.requested() for name, entry in entries.items()}
        return found if self.on_disk_payload is None else found | {"on_disk_payload": self.on_disk_payload}
