"""The settings of the collection that the stack serves; defaults stand in Pulumi.yaml."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

INDEX_TYPES = ("keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid")
NAME = r"^[A-Za-z0-9_-]{1,200}$"


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
    distance: Literal["Cosine", "Dot", "Euclid", "Manhattan"]
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
        sections = {
            key: value.named() for key in type(self).model_fields if isinstance(value := getattr(self, key), Section)
        }
        return self.model_dump() | sections
