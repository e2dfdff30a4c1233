"""A collection's configuration: declared, as a request takes it, and as Qdrant reports it; pure.

What is not declared is left as it is: of HNSW, optimizers, quantization and strict mode only declared settings count.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qdrant_admin.collection.spec import CHANGEABLE, FIXED, PARAMS, SECTIONS, CollectionSpec, is_unnamed, layout_of

Config = Mapping[str, Any]  # `config` of `GET /collections/{name}`
# Section of a spec -> its name in a request, and, where that is another one, in what Qdrant reports.
REQUESTED = {section: f"{section}_config" for section in SECTIONS}
REPORTED = REQUESTED | {"optimizers": "optimizer_config"}
# What a node reports of a collection's parameters and accepts at creation; the rest is set afterwards, by PATCH.
AT_CREATION = ("vectors", "sparse_vectors", "shard_number", "sharding_method", *PARAMS, "on_disk_payload", "payload")
AFTERWARDS = ("read_fan_out_factor", "read_fan_out_delay_ms")
UNDECLARED = ("wal_config", "metadata")


def creation_body(spec: CollectionSpec) -> dict[str, Any]:
    """The request that creates the declared collection."""
    on_disk = {"on_disk": True} if spec.vectors_on_disk else {}
    vectors = {"size": spec.vector_size, "distance": spec.distance, **on_disk} if spec.vector_size else {}
    plain = {key: getattr(spec, key) for key in ("shard_number", *PARAMS)}
    sections = {REQUESTED[key]: value for key in SECTIONS if (value := getattr(spec, key))}
    return {"vectors": vectors, **plain, **{key: getattr(spec, key) for key in spec.optional}} | sections


def recreation_body(config: Config, **otherwise: Any) -> dict[str, Any]:
    """The request that creates a collection with a reported configuration, with some parameters otherwise."""
    params = {key: config["params"][key] for key in AT_CREATION if config["params"].get(key) is not None}
    names = {REPORTED[key]: REQUESTED[key] for key in SECTIONS} | dict(zip(UNDECLARED, UNDECLARED, strict=True))
    sections = {requested: config[name] for name, requested in names.items() if config.get(name) is not None}
    return params | sections | otherwise


def later_params(config: Config) -> dict[str, Any]:
    """Parameters that can only be set once the collection exists; empty when all are the defaults."""
    return {key: config["params"][key] for key in AFTERWARDS if config["params"].get(key) is not None}


def uncarried(config: Config, shard_keys: Mapping[int, Any]) -> list[str]:
    """Why a collection with this configuration, and these shards (id -> its key), cannot be created again as it is."""
    names = {*REPORTED.values(), *UNDECLARED, "params"}
    known = {*AT_CREATION, *AFTERWARDS}
    unknown = [key for key, value in config.items() if value is not None and key not in names]
    unknown += [f"params.{key}" for key, value in config["params"].items() if value is not None and key not in known]
    reasons = [f"{', '.join(unknown)}: expected known settings only"] if unknown else []
    if is_custom(config):
        if keyless := sorted(shard for shard, key in shard_keys.items() if key is None):
            reasons.append(f"sharding_method custom: expected the key of every shard, found none of {keyless}")
        elif moved := sorted(map(str, _moved_keys(shard_keys))):
            reasons.append(
                f"shard keys {', '.join(moved)}: expected shards that get the same numbers again, by which Qdrant "
                f"finds a point, found gaps or a mixed order in {sorted(shard_keys)}; move their points to new keys"
            )
    elif sorted(shard_keys) != list(range(config["params"]["shard_number"])):
        reasons.append(
            f"shards: expected {config['params']['shard_number']}, numbered from 0, found {sorted(shard_keys)}"
        )
    return reasons


def is_custom(config: Config) -> bool:
    """Whether its shards are made by keys."""
    return str(config["params"].get("sharding_method")).lower() == "custom"


def shards_of_keys(shard_keys: Mapping[int, Any]) -> dict[Any, list[int]]:
    """Key -> its shards, in the order in which creating them numbers the shards alike."""
    found: dict[Any, list[int]] = {}
    for shard, key in sorted(shard_keys.items()):
        found.setdefault(key, []).append(shard)
    return found


def _moved_keys(shard_keys: Mapping[int, Any]) -> list[Any]:
    """Keys of several shards that would get other numbers; of a single shard the number does not matter."""
    moved, following = [], 1  # Qdrant's first number with custom sharding
    for key, shards in shards_of_keys(shard_keys).items():
        if len(shards) > 1 and shards != list(range(following, following + len(shards))):
            moved.append(key)
        following += len(shards)
    return moved


def index_schemas(payload_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> the schema that creates its payload index again."""
    return {field: schema.get("params") or schema["data_type"] for field, schema in sorted(payload_schema.items())}


def change_body(spec: CollectionSpec, found: CollectionSpec) -> dict[str, Any]:
    """The request that turns what was found into what is declared; empty when they are equal."""
    keys = (*CHANGEABLE, *spec.optional)
    different = {key: getattr(spec, key) for key in keys if getattr(spec, key) != getattr(found, key)}
    body: dict[str, Any] = {REQUESTED[key]: different[key] for key in SECTIONS if key in different}
    if "quantization" in different and not spec.quantization:
        body["quantization_config"] = "Disabled"
    if params := {key: different[key] for key in (*PARAMS, "on_disk_payload") if key in different}:
        body["params"] = params
    for key in ("vectors", "sparse_vectors"):
        if key in different:
            body[key] = {name: changed for name, each in different[key].items() if (changed := _changeable(each))}
    if "vectors_on_disk" in different:
        body["vectors"] = {"": {"on_disk": spec.vectors_on_disk}}
    return body


def as_declared(spec: CollectionSpec, found: Mapping[str, Any]) -> CollectionSpec:
    """What Qdrant reports of a collection (`GET /collections/{name}`), as the spec would declare it."""
    config, schema = found["config"], found.get("payload_schema") or {}
    params = config["params"]
    vectors = params.get("vectors") or {}
    unnamed = vectors if is_unnamed(vectors) else {}  # named ones have size and distance each
    named = {key: _like(getattr(spec, key), params.get(key) or {}) for key in ("vectors", "sparse_vectors")}
    return replace(
        spec,
        vector_size=unnamed.get("size"),
        distance=unnamed.get("distance"),
        vectors_on_disk=bool(unnamed.get("on_disk")),
        vectors=named["vectors"],
        sparse_vectors=named["sparse_vectors"],
        on_disk_payload=None if spec.on_disk_payload is None else bool(params.get("on_disk_payload")),
        layout=layout_of(params),
        payload_indexes={key: _index(kind, schema[key]) for key, kind in spec.payload_indexes.items() if key in schema},
        **{key: params[key] for key in ("shard_number", *PARAMS)},
        **{
            key: _like(getattr(spec, key), config.get(REPORTED[key]) or {}, whole=key == "quantization")
            for key in SECTIONS
        },
    )


def incompatibilities(spec: CollectionSpec, found: CollectionSpec) -> list[str]:
    """Point by point, what of a collection cannot be changed into what is declared."""
    named = found.layout["vectors"] != spec.layout["vectors"]  # then size and distance are those of each of them
    fixed = ("shard_number",) if named else FIXED
    pairs = {key: (getattr(spec, key), getattr(found, key)) for key in fixed}
    # A name that only one of them has shows under `vectors` and `sparse_vectors`, which list all.
    pairs |= {key: (wanted, found.layout[key]) for key, wanted in spec.layout.items() if key in found.layout}
    return [f"{key}: expected {wanted}, found {there}" for key, (wanted, there) in pairs.items() if wanted != there]


def _changeable(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What of a named vector may change in place; all else is part of the layout."""
    return {key: vector[key] for key in ("on_disk", "hnsw_config", "quantization_config", "index") if key in vector}


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
