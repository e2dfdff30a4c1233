"""What is declared of a collection, in the words of Qdrant's REST API, and the other way round; pure.

What is not named is left as it is: of HNSW, optimizers, quantization and strict mode only the declared settings count.
"""

from collections.abc import Mapping
from typing import Any

Declared = Mapping[str, Any]  # the inputs of ReplicatedCollection
# What only another collection can have otherwise: Qdrant keeps them for life.
FIXED = ("vector_size", "distance", "shard_number")
# Declared section -> (its name in a request, its name in what Qdrant says).
SECTIONS = {
    "hnsw": ("hnsw_config", "hnsw_config"),
    "optimizers": ("optimizers_config", "optimizer_config"),
    "quantization": ("quantization_config", "quantization_config"),
    "strict_mode": ("strict_mode_config", "strict_mode_config"),
}
PARAMS = ("replication_factor", "write_consistency_factor")
CHANGEABLE = (*PARAMS, "vectors_on_disk", *SECTIONS, "payload_indexes")


def creation(declared: Declared) -> dict[str, Any]:
    """The body of the request that creates it."""
    on_disk = {"on_disk": True} if declared["vectors_on_disk"] else {}
    vectors = {"size": declared["vector_size"], "distance": declared["distance"], **on_disk}
    plain = {key: declared[key] for key in ("shard_number", *PARAMS)}
    return {"vectors": vectors, **plain} | {SECTIONS[key][0]: declared[key] for key in SECTIONS if declared[key]}


def change(declared: Declared, seen: Declared) -> dict[str, Any]:
    """The body of the request that makes what is seen what is declared; empty when it is."""
    different = [key for key in CHANGEABLE if declared[key] != seen[key]]
    body: dict[str, Any] = {SECTIONS[key][0]: declared[key] for key in SECTIONS if key in different}
    if "quantization" in different and not declared["quantization"]:
        body["quantization_config"] = "Disabled"
    if params := {key: declared[key] for key in PARAMS if key in different}:
        body["params"] = params
    if "vectors_on_disk" in different:
        body["vectors"] = {"": {"on_disk": declared["vectors_on_disk"]}}
    return body


def seen(declared: Declared, found: Mapping[str, Any]) -> dict[str, Any]:
    """What Qdrant says of a collection (`GET /collections/{name}`), as it would be declared."""
    config, schema = found["config"], found.get("payload_schema") or {}
    params = config["params"]
    vectors = params.get("vectors") or {}  # named ones have neither size nor distance of their own
    plain = {key: params[key] for key in ("shard_number", *PARAMS)}
    sections = {
        key: _like(declared.get(key) or {}, config.get(name) or {}, whole=key == "quantization")
        for key, (_, name) in SECTIONS.items()
    }
    indexes = {
        key: _index(kind, schema[key]) for key, kind in declared.get("payload_indexes", {}).items() if key in schema
    }
    named = {"vector_size": vectors.get("size"), "distance": vectors.get("distance")}
    return named | plain | sections | {"vectors_on_disk": bool(vectors.get("on_disk")), "payload_indexes": indexes}


def incompatibilities(declared: Declared, found: Declared) -> list[str]:
    """Point by point, what of a collection cannot be made what is declared."""
    return [f"{key}: expected {declared[key]}, found {found[key]}" for key in FIXED if declared[key] != found[key]]


def _like(wanted: Any, found: Any, *, whole: bool = False) -> Any:
    """What was found, of all that is wanted; all of it where nothing is wanted and `whole` counts."""
    if not isinstance(wanted, Mapping) or not isinstance(found, Mapping):
        return found
    if whole and not wanted:
        return dict(found)
    return {key: _like(each, found[key]) for key, each in wanted.items() if found.get(key) is not None}


def _index(wanted: Any, found: Mapping[str, Any]) -> Any:
    if isinstance(wanted, Mapping):
        return _like(wanted, {**(found.get("params") or {}), "type": found["data_type"]})
    return found["data_type"]
