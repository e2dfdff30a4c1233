"""Writing: an entity must be valid and unique, with parents that exist; a deletion cascades."""

import copy
import secrets
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.kong.entity_schemas import KINDS
from sandbox.kong.plugin_schemas import PLUGINS
from sandbox.kong.schemas import Field, Fields, Row, filled, merged, problems
from sandbox.kong.store import Store


class RefusedError(Exception):
    """Not done: (HTTP status, body)."""


def _lua(value: Any) -> str:
    """A value the way Kong prints one in a message."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}={_lua(inner)}" for name, inner in sorted(value.items())) + "}"
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _refused(status: int, code: int, name: str, message: str, fields: Row) -> RefusedError:
    return RefusedError(status, {"code": code, "name": name, "message": message, "fields": fields})


def _violation(found: Row) -> RefusedError:
    messages = list(found.get("@entity", []))
    for name in sorted(found.keys() - {"@entity"}):
        inner = dict(enumerate(found[name], 1)) if isinstance(found[name], list) else found[name]
        parts = inner.items() if isinstance(inner, dict) else [("", inner)]
        messages += [
            f"{name}{'.' if key else ''}{key}: {_lua(v) if isinstance(v, dict) else v}" for key, v in parts if v
        ]
    count = f"{len(messages)} schema violations" if len(messages) > 1 else "schema violation"
    return _refused(400, 2, "schema violation", f"{count} ({'; '.join(messages)})", found)


def schema_of(kind: str, row: Row) -> Fields:
    """The schema of an entity; a plugin's depends on its name."""
    if kind != "plugins" or not isinstance(row.get("name"), str):
        return KINDS[kind].schema
    if row["name"] not in PLUGINS:
        wrong = f"plugin '{row['name']}' not enabled; add it to the 'plugins' configuration property"
        raise _violation({"name": wrong})
    return KINDS[kind].schema | {"config": Field("record", fields=PLUGINS[row["name"]].config)}


def shown(kind: str, row: Row) -> Row:
    """An entity as the Admin API shows it: with the deprecated short forms of its fields."""
    record = PLUGINS[row["name"]].shorthands if kind == "plugins" else ""
    short = {f"{record}_{name}": value for name, value in row["config"][record].items()} if record else {}
    return row | {"config": row["config"] | short} if short else row


def _written_out(kind: str, given: Row) -> Row:
    """`given` without the short forms that Kong accepts."""
    given = copy.deepcopy(given)
    if kind == "upstreams" and given.get("hash_on"):  # why pulumi-kong, which always sends it, undoes other algorithms
        given["algorithm"] = "round-robin" if given["hash_on"] == "none" else "consistent-hashing"
    if kind == "targets" and isinstance(given.get("target"), str) and ":" not in given["target"]:
        given["target"] += ":8000"
    record = PLUGINS[given["name"]].shorthands if kind == "plugins" and given.get("name") in PLUGINS else ""
    if record and isinstance(given.get("config"), dict):
        _use_long_forms(given["config"], record)
    return given


def _use_long_forms(config: Row, record: str) -> None:
    for name in [name for name in config if name.startswith(f"{record}_") and isinstance(config.get(record, {}), dict)]:
        value, inner, field = config.pop(name), config.setdefault(record, {}), name.removeprefix(f"{record}_")
        if None not in (value, inner.get(field)) and value != inner[field]:
            mismatch = f"{name} = {value} vs {record}.{field} = {inner[field]}"
            wrong = f"both deprecated and new field are used but their values mismatch: {mismatch}"
            raise _violation({"config": {name: wrong}})
        inner.update({field: value} if inner.get(field) is None else {})


def _contradictions(kind: str, row: Row) -> Row:
    """What is wrong between the fields of an entity whose fields are each right."""
    if kind == "plugins":
        return PLUGINS[row["name"]].checks(row["config"])
    if kind == "routes" and not any(row[criterion] for criterion in ("methods", "hosts", "headers", "paths", "snis")):
        protocol, more = ("https", ", 'snis'") if "https" in row["protocols"] else ("http", "")
        criteria = f"'methods', 'hosts', 'headers', 'paths'{more}"
        return {"@entity": [f"must set one of {criteria} when 'protocols' is '{protocol}'"]}
    if kind == "consumers" and not row["custom_id"] and not row["username"]:
        return {"@entity": ["at least one of these fields must be non-empty: 'custom_id', 'username'"]}
    if kind == "jwt_secrets" and row["algorithm"][:2] in ("RS", "PS", "ES", "Ed"):
        try:
            load_pem_public_key((row["rsa_public_key"] or "").encode())
        except ValueError:
            entity = ["failed conditional validation given value of field 'algorithm'"]
            return {"@entity": entity, "rsa_public_key": "invalid key"}
    return {}


async def find(store: Store, kind: str, key: str) -> Row | None:
    """The entity with this id, or this name."""
    return next((row for row in await store.rows(kind) if key in (row["id"], row[KINDS[kind].key])), None)


async def write(store: Store, kind: str, given: Row, old: Row | None = None, *, id_: str = "") -> Row:
    """Save a new entity, or what PATCH `given` makes of `old`; raises RefusedError."""
    named = {"name": old["name"]} if old and kind == "plugins" else {}
    schema, given = schema_of(kind, given | named), _written_out(kind, given | named)
    row = filled(schema, merged(schema, given, old) if old else {"id": id_ or str(uuid.uuid4())} | given)
    if kind == "jwt_secrets" and not old:
        row |= {name: secrets.token_urlsafe(24) for name in ("key", "secret") if name not in given}
    now = time.time() if kind == "targets" else int(time.time())
    row |= {name: now for name in ("created_at", "updated_at") if name in schema and (name == "updated_at" or not old)}
    if found := problems(schema, row) or _contradictions(kind, row):
        raise _violation(found)
    for name in [name for name, field in schema.items() if field.type == "foreign" and row[name]]:
        parent = await find(store, f"{name}s", next(iter(row[name].values()), ""))
        if not parent:
            message = f"the foreign key '{_lua(row[name])}' does not reference an existing '{name}s' entity."
            raise _refused(400, 4, "foreign key violation", message, {name: row[name]})
        row[name] = {"id": parent["id"]}
    await _reject_duplicates(store, kind, row)
    await store.save(kind, row)
    return row


async def _reject_duplicates(store: Store, kind: str, row: Row) -> None:
    for other in await store.rows(kind):
        for names in KINDS[kind].unique:
            key = {name: row[name] for name in names}
            if other["id"] != row["id"] and any(key.values()) and key == {name: other[name] for name in names}:
                message = f"UNIQUE violation detected on '{_lua(key)}'"
                raise _refused(409, 5, "unique constraint violation", message, key)


async def remove(store: Store, kind: str, row: Row) -> None:
    """Delete an entity and all that belongs to it; raises RefusedError where something else needs it."""
    field = kind.removesuffix("s")
    for name in [name for name in KINDS if field in KINDS[name].schema]:
        for other in [other for other in await store.rows(name) if other[field] == {"id": row["id"]}]:
            if not KINDS[name].cascades:
                message = f"an existing '{name}' entity references this '{kind}' entity"
                raise _refused(400, 4, "foreign key violation", message, {"@referenced_by": name})
            await remove(store, name, other)
    await store.remove(kind, row)
