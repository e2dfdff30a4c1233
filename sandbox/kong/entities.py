"""Kong's entities: their schemas, what must be unique, who belongs to whom, and the writes that keep it so."""

import copy
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.kong.plugin_schemas import PLUGINS
from sandbox.kong.schemas import (
    BOOLEAN,
    HEADER,
    HOST,
    OFF,
    ON,
    PATH,
    STRING,
    TAGS,
    Field,
    Fields,
    Row,
    filled,
    listed,
    matching,
    merged,
    problems,
)
from sandbox.kong.store import Store

PROTOCOLS = ("grpc", "grpcs", "http", "https")
NAME = Field(
    "string",
    check=matching(
        r"^[\w.~-]+$", "invalid value '{}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
    ),
)
TIMEOUT, FOREIGN = Field("integer", 60000, between=(1, 2**31 - 2)), Field("foreign")
OWNER, COUNT = Field("foreign", required=True), Field("integer", 0, between=(0, 255))
SECONDS, ROUTE_PATH = (
    Field("number", 0, between=(0, 65535)),
    matching("^~?/", "should start with: / (fixed path) or ~/ (regex path)"),
)
HASH = Field(
    "string", "none", one_of=("none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture")
)
STAMPS = {"id": STRING, "created_at": Field("number"), "updated_at": Field("number"), "tags": TAGS}
ALGORITHMS = tuple(f"{family}{bits}" for family in ("HS", "RS", "ES", "PS") for bits in (256, 384, 512)) + ("EdDSA",)


def _statuses(*default: int) -> Field:
    return Field("array", list(default), elements=Field("integer", between=(100, 999)))


def _checks(*, active: bool) -> Field:
    kind = {"type": Field("string", "http", one_of=("tcp", "http", "https", "grpc", "grpcs"))}
    probe = kind | {
        "timeout": Field("number", 1),
        "concurrency": Field("integer", 10, between=(1, 2**31)),
        "headers": Field("map"),
        "http_path": Field("string", "/", check=PATH.check),
        "https_sni": HOST,
        "https_verify_certificate": ON,
    }
    interval = {"interval": SECONDS} if active else {}
    good = (200, 302) if active else (*range(200, 209), 226, *range(300, 309))
    bad = (429, 404, 500, 501, 502, 503, 504, 505) if active else (429, 500, 503)
    healthy = interval | {"http_statuses": _statuses(*good), "successes": COUNT}
    unhealthy = interval | {
        "http_statuses": _statuses(*bad),
        "tcp_failures": COUNT,
        "timeouts": COUNT,
        "http_failures": COUNT,
    }
    return Field(
        "record",
        fields=(probe if active else kind)
        | {"healthy": Field("record", fields=healthy), "unhealthy": Field("record", fields=unhealthy)},
    )


@dataclass(frozen=True)
class Kind:
    """One kind of entity; a foreign field `x` names one of kind `xs`."""

    schema: Fields
    key: str = "name"  # addresses an entity besides its id
    unique: tuple[tuple[str, ...], ...] = (("name",),)
    cascades: bool = True  # goes with what it belongs to; otherwise that cannot go


KINDS = {
    "services": Kind(
        STAMPS
        | {
            "name": NAME,
            "retries": Field("integer", 5, between=(0, 32767)),
            "protocol": Field("string", "http", True, PROTOCOLS),
            "host": Field("string", required=True, check=HOST.check),
            "port": Field("integer", 80, True, between=(0, 65535)),
            "path": PATH,
            "connect_timeout": TIMEOUT,
            "write_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            "client_certificate": FOREIGN,
            "tls_verify": BOOLEAN,
            "tls_verify_depth": Field("integer"),
            "ca_certificates": listed(),
            "enabled": ON,
        }
    ),
    "routes": Kind(
        STAMPS
        | {
            "name": NAME,
            "protocols": Field("set", ["http", "https"], True, elements=Field("string", one_of=PROTOCOLS)),
            "https_redirect_status_code": Field("integer", 426, True, (426, 301, 302, 307, 308)),
            "strip_path": ON,
            "preserve_host": OFF,
            "request_buffering": ON,
            "response_buffering": ON,
            "service": FOREIGN,
            "snis": listed(of="set"),
            "sources": Field("set"),
            "destinations": Field("set"),
            "methods": listed(of="set", check=matching("^[A-Z]+$", "invalid value: {}")),
            "hosts": listed(),
            "paths": listed(check=ROUTE_PATH),
            "headers": Field("map", elements=listed()),
            "regex_priority": Field("integer", 0),
            "path_handling": Field("string", "v0", one_of=("v0", "v1")),
        },
        cascades=False,
    ),
    "plugins": Kind(
        STAMPS
        | {
            "name": Field("string", required=True),
            "instance_name": NAME,
            "service": FOREIGN,
            "route": FOREIGN,
            "consumer": FOREIGN,
            "protocols": Field("set", list(PROTOCOLS), True, elements=Field("string", one_of=PROTOCOLS)),
            "enabled": ON,
        },
        "instance_name",
        (("instance_name",), ("consumer", "name", "route", "service")),
    ),
    "upstreams": Kind(
        STAMPS
        | {
            "name": Field(
                "string",
                required=True,
                check=matching(r"^[\w.-]*[A-Za-z_-][\w.-]*$", "Invalid name ('{}'); must be a valid hostname"),
            ),
            "algorithm": Field(
                "string", "round-robin", one_of=("consistent-hashing", "least-connections", "round-robin", "latency")
            ),
            "hash_on": HASH,
            "hash_fallback": HASH,
            "hash_on_header": HEADER,
            "hash_fallback_header": HEADER,
            "hash_on_cookie": STRING,
            "hash_on_cookie_path": Field("string", "/", check=PATH.check),
            "hash_on_query_arg": STRING,
            "hash_fallback_query_arg": STRING,
            "hash_on_uri_capture": STRING,
            "hash_fallback_uri_capture": STRING,
            "slots": Field("integer", 10000, between=(10, 65536)),
            "healthchecks": Field(
                "record",
                fields={
                    "active": _checks(active=True),
                    "passive": _checks(active=False),
                    "threshold": Field("number", 0, between=(0, 100)),
                },
            ),
            "host_header": STRING,
            "client_certificate": FOREIGN,
            "use_srv_name": Field("boolean", False),
        }
    ),
    "targets": Kind(
        STAMPS
        | {
            "upstream": OWNER,
            "target": Field("string", required=True),
            "weight": Field("integer", 100, between=(0, 65535)),
        },
        "target",
        (("target", "upstream"),),
    ),
    "consumers": Kind(STAMPS | {"username": STRING, "custom_id": STRING}, "username", (("username",), ("custom_id",))),
    "jwt_secrets": Kind(
        STAMPS
        | {
            "consumer": OWNER,
            "key": STRING,
            "secret": STRING,
            "rsa_public_key": STRING,
            "algorithm": Field("string", "HS256", one_of=ALGORITHMS),
        },
        "key",
        (("key",),),
    ),
    "acls": Kind(
        STAMPS | {"consumer": OWNER, "group": Field("string", required=True)}, "group", (("consumer", "group"),)
    ),
}


class Refused(Exception):
    """An answer other than the one asked for: (status, body)."""


def lua(value: Any) -> str:
    """A value the way Kong prints one in its messages."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}={lua(inner)}" for name, inner in sorted(value.items())) + "}"
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def violation(found: Row) -> Refused:
    """400 with Kong's sentence for each problem in `found`."""
    said = list(found.get("@entity", []))
    for name, problem in sorted((name, problem) for name, problem in found.items() if name != "@entity"):
        inner = dict(enumerate(problem, 1)) if isinstance(problem, list) else problem
        said += (
            [
                f"{name}.{key}: {lua(value)}" if isinstance(value, dict) else f"{name}.{key}: {value}"
                for key, value in sorted(inner.items())
                if value
            ]
            if isinstance(inner, dict)
            else [f"{name}: {inner}"]
        )
    count = "schema violation" if len(said) == 1 else f"{len(said)} schema violations"
    return Refused(
        400, {"code": 2, "name": "schema violation", "message": f"{count} ({'; '.join(said)})", "fields": found}
    )


def schema_of(kind: str, row: Row) -> Fields:
    """The schema of an entity; a plugin's depends on its name."""
    name = row.get("name")
    if kind == "plugins" and name not in PLUGINS and isinstance(name, str):
        raise violation({"name": f"plugin '{name}' not enabled; add it to the 'plugins' configuration property"})
    config = {"config": Field("record", fields=PLUGINS[name].config)} if kind == "plugins" and name in PLUGINS else {}
    return KINDS[kind].schema | config


def _entity_problems(kind: str, row: Row) -> Row:
    """What is wrong between the fields of an otherwise valid entity."""
    if kind == "plugins":
        return PLUGINS[row["name"]].checks(row["config"])
    if kind == "routes" and not any(row[criterion] for criterion in ("methods", "hosts", "headers", "paths", "snis")):
        names = "'methods', 'hosts', 'headers', 'paths'" + ", 'snis'" * ("https" in row["protocols"])
        return {"@entity": [f"must set one of {names} when 'protocols' is 'http{'s' * ('https' in row['protocols'])}'"]}
    if kind == "consumers" and not row["custom_id"] and not row["username"]:
        return {"@entity": ["at least one of these fields must be non-empty: 'custom_id', 'username'"]}
    if kind == "jwt_secrets" and row["algorithm"][:2] in ("RS", "PS", "Ed"):
        try:
            load_pem_public_key((row["rsa_public_key"] or "").encode())
        except ValueError:
            return {
                "@entity": ["failed conditional validation given value of field 'algorithm'"],
                "rsa_public_key": "invalid key",
            }
    return {}


def _expanded(kind: str, given: Row) -> Row:
    """`given` with the short forms Kong accepts written out."""
    if kind == "upstreams" and given.get("hash_on", "") is not None and "hash_on" in given:
        given |= {"algorithm": "round-robin" if given["hash_on"] == "none" else "consistent-hashing"}
    if kind == "targets" and isinstance(given.get("target"), str) and ":" not in given["target"]:
        given |= {"target": f"{given['target']}:8000"}
    if kind == "plugins" and (record := PLUGINS[given["name"]].shorthands) and isinstance(given.get("config"), dict):
        config = given["config"]
        for name in [name for name in config if name.startswith(f"{record}_")]:
            value, inner, field = config.pop(name), config.setdefault(record, {}), name.removeprefix(f"{record}_")
            if None not in (value, inner.get(field)) and value != inner[field]:
                raise violation(
                    {
                        "config": {
                            name: "both deprecated and new field are used but their values mismatch: "
                            f"{name} = {value} vs {record}.{field} = {inner[field]}"
                        }
                    }
                )
            inner |= {field: value} if inner.get(field) is None else {}
    return given


def shown(kind: str, row: Row) -> Row:
    """An entity as the Admin API shows it: with the deprecated short forms of its fields."""
    record = PLUGINS[row["name"]].shorthands if kind == "plugins" else ""
    return (
        row | {"config": row["config"] | {f"{record}_{k}": v for k, v in row["config"][record].items()}}
        if record
        else row
    )


async def find(store: Store, kind: str, key: str) -> Row | None:
    """The entity with this id, or this name."""
    return next((row for row in await store.rows(kind) if key in (row["id"], row[KINDS[kind].key])), None)


async def write(store: Store, kind: str, given: Row, old: Row | None = None, *, id: str = "") -> Row:
    """Save a new entity, or what PATCH `given` makes of `old`; raises Refused."""
    schema = schema_of(kind, (old or {}) | given)
    given = _expanded(kind, copy.deepcopy(given | ({"name": old["name"]} if old and kind == "plugins" else {})))
    row = filled(schema, merged(schema, given, old) if old else {"id": id or str(uuid.uuid4())} | given)
    now = time.time() if kind == "targets" else int(time.time())
    row |= {"updated_at": now} | ({} if old else {"created_at": now})
    if kind == "jwt_secrets":
        row |= {name: secrets.token_urlsafe(24) for name in ("key", "secret") if name not in given and not old}
    if found := problems(schema, row) or _entity_problems(kind, row):
        raise violation(found)
    for name, parent in [(name, row[name]) for name in schema if schema[name].type == "foreign" and row[name]]:
        if not (there := await find(store, f"{name}s", next(iter(parent.values()), ""))):
            message = f"the foreign key '{lua(parent)}' does not reference an existing '{name}s' entity."
            raise Refused(
                400, {"code": 4, "name": "foreign key violation", "message": message, "fields": {name: parent}}
            )
        row[name] = {"id": there["id"]}
    others = [other for other in await store.rows(kind) if other["id"] != row["id"]]
    for unique in KINDS[kind].unique:
        key = {name: row[name] for name in unique}
        if any(key.values()) and any(key == {name: other[name] for name in unique} for other in others):
            raise Refused(
                409,
                {
                    "code": 5,
                    "name": "unique constraint violation",
                    "fields": key,
                    "message": f"UNIQUE violation detected on '{lua(key)}'",
                },
            )
    await store.save(kind, row)
    return row


async def remove(store: Store, kind: str, row: Row) -> None:
    """Delete an entity and what cascades from it; raises Refused while something else refers to it."""
    field, pointing = (
        kind.removesuffix("s"),
        [
            (name, other)
            for name in KINDS
            if kind.removesuffix("s") in KINDS[name].schema
            for other in await store.rows(name)
        ],
    )
    dependents = [(name, other) for name, other in pointing if (other[field] or {}).get("id") == row["id"]]
    for name in (name for name, _ in dependents if not KINDS[name].cascades):
        raise Refused(
            400,
            {
                "code": 4,
                "name": "foreign key violation",
                "fields": {"@referenced_by": name},
                "message": f"an existing '{name}' entity references this '{kind}' entity",
            },
        )
    for name, other in dependents:
        await remove(store, name, other)
    await store.remove(kind, row)
