"""Kong's declarative format: a YAML tree of entities, each complaint with the path to its field."""

import uuid
from typing import Any

import yaml

from sandbox.kong.entities import KINDS, Refused, write
from sandbox.kong.schemas import Row
from sandbox.kong.store import Memory

ORDER = ("services", "routes", "upstreams", "targets", "consumers", "jwt_secrets", "acls", "plugins")


class Invalid(Exception):
    """The file cannot be used; says where and why."""


async def parse(text: str) -> Memory:
    """The entities of a declarative file; raises Invalid."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"failed parsing declarative configuration: {error}") from error
    if not isinstance(tree, dict):
        raise Invalid("failed parsing declarative configuration: expected an object")
    store = Memory()
    version = tree.pop("_format_version", None)
    versions = "required field missing" if version is None else "expected one of: 1.1, 2.1, 3.0"
    found = {} if version in ("1.1", "2.1", "3.0") else {"_format_version": versions}
    tree = {name: value for name, value in tree.items() if name not in ("_transform", "_comment", "_info")}
    if found |= await _declare(store, tree, {}, ""):
        raise Invalid("\n".join(_sentences(found, "")))
    return store


async def _declare(store: Memory, tree: Row, parent: Row, where: str) -> Row:
    found: Row = {name: "unknown field" for name in tree if name not in KINDS}
    for kind in (kind for kind in ORDER if kind in tree):
        found[kind] = {i: wrong for i, item in enumerate(tree[kind] or [], 1)
                       if (wrong := await _declare_one(store, kind, item, parent, f"{where}/{kind}/{i}"))}
    return {name: wrong for name, wrong in found.items() if wrong}


async def _declare_one(store: Memory, kind: str, item: Row, parent: Row, where: str) -> Row:
    schema = KINDS[kind].schema
    nested = {name: value for name, value in item.items() if name in KINDS and name not in schema}
    own = {name: {"name": value} if name in schema and schema[name].type == "foreign" and isinstance(value, str) else value
           for name, value in item.items() if name not in nested}
    try:
        row = await write(store, kind, own | parent, id=str(uuid.uuid5(uuid.NAMESPACE_URL, where)))
    except Refused as refused:
        return dict(refused.args[1]["fields"])
    return await _declare(store, nested, {kind.removesuffix("s"): {"id": row["id"]}}, where)


def _sentences(found: Any, item: str) -> list[str]:
    said: list[str] = []
    for key, wrong in found.items() if isinstance(found, dict) else enumerate(found, 1):
        start = f"- in entry {key} of '{item}':" if isinstance(key, int) else f"in '{key}':"
        inner = [f"  {line}" for line in _sentences(wrong, str(key))] if isinstance(wrong, dict | list) else []
        said += [start, *inner] if inner else [f"{start} {wrong}"] if wrong else []
    return said
