"""A collection's description, as one made again needs it: from what a node says of it to what a node wants to hear."""

from collections.abc import Mapping
from typing import Any

# What a node tells of a collection's parameters and takes when one is made; the rest is set afterwards, by PATCH.
AT_CREATION = (
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
    "payload",
)
AFTERWARDS = ("read_fan_out_factor", "read_fan_out_delay_ms")
SECTIONS = {  # as it is told -> as it is taken
    "hnsw_config": "hnsw_config",
    "optimizer_config": "optimizers_config",
    "wal_config": "wal_config",
    "quantization_config": "quantization_config",
    "strict_mode_config": "strict_mode_config",
    "metadata": "metadata",
}


def creation_body(config: Mapping[str, Any], **otherwise: Any) -> dict[str, Any]:
    """What makes a collection like the one of that configuration, with some parameters otherwise."""
    params = {key: config["params"][key] for key in AT_CREATION if config["params"].get(key) is not None}
    sections = {taken: config[told] for told, taken in SECTIONS.items() if config.get(told) is not None}
    return params | sections | otherwise


def later_params(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that can only be set when the collection is there; empty when all are the defaults."""
    return {key: config["params"][key] for key in AFTERWARDS if config["params"].get(key) is not None}


def indexes(payload_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> what makes its payload index again."""
    return {field: schema.get("params") or schema["data_type"] for field, schema in sorted(payload_schema.items())}
