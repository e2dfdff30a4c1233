"""Kong's declarative format: a YAML tree of entities, each error with the path to its field."""

import uuid
from typing import Any

import yaml

from sandbox.kong.entities import RefusedError, write
from sandbox.kong.entity_schemas import KINDS
from sandbox.kong.schemas import Row
from sandbox.kong.store import Memory

ORDER = ("services", "routes", "upstreams", "targets", "consumers", "acls", "jwt_secrets", "plugins")


class InvalidError(Exception):
    """The file cannot be used: where and why."""


async def parse(text: str) -> Memory:
    """The entities of a declarative file; raises InvalidError."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidError(f"failed parsing declarative configuration: {error}") from error
    if not isinstance(tree, dict):
        raise InvalidError("failed parsing declarative configuration: expected an object")
    store, version = Memory(), tree.pop("_format_version", None)
    wrong = "required field missing" if version is None else "expected one of: 1.1, 2.1, 3.0"
    found = {} if version in ("1.1", "2.1", "3.0") else {"_format_version": wrong}
    tree = {name: value for name, value in tree.items() if name not in ("_transform", "_comment", "_info")}
    found |= await _declare(store, tree, {}, "")
    if found:
        raise InvalidError("\n".join(_sentences(found, "")))
    return store


async def _declare(store: Memory, tree: Row, parent: Row, where: str) -> Row:
    """What is wrong with lists of entities, by kind and number; what is not, is stored."""
    found: Row = {name: "unknown field" for name in tree if name not in ORDER}
    for kind in [kind for kind in ORDER if kind in tree]:
        items = enumerate(tree[kind] or [], 1)
        found[kind] = {i: await _declare_one(store, kind, item, parent, f"{where}/{kind}/{i}") for i, item in items}
        found[kind] = {i: wrong for i, wrong in found[kind].items() if wrong}
    return {name: wrong for name, wrong in found.items() if wrong}


async def _declare_one(store: Memory, kind: str, item: Any, parent: Row, where: str) -> Any:
    if not isinstance(item, dict):
        return "expected a record"
    schema = KINDS[kind].schema
    nested = {name: item[name] for name in item if name in ORDER and name not in schema}
    named = [name for name in item if isinstance(item[name], str) and name in schema]
    foreign = {name: {"name": item[name]} for name in named if schema[name].type == "foreign"}
    own = {name: item[name] for name in item if name not in nested} | foreign | parent
    try:
        row = await write(store, kind, own, id_=str(uuid.uuid5(uuid.NAMESPACE_URL, where)))
    except RefusedError as refused:
        return dict(refused.args[1]["fields"])
    return await _declare(store, nested, {kind.removesuffix("s"): {"id": row["id"]}}, where)


def _sentences(found: Any, item: str) -> list[str]:
    lines: list[str] = []
    for key, wrong in found.items() if isinstance(found, dict) else enumerate(found, 1):
        start = f"- in entry {key} of '{item}':" if isinstance(key, int) else f"in '{key}':"
        inner = [f"  {line}" for line in _sentences(wrong, str(key))] if isinstance(wrong, dict | list) else []
        lines += [start, *inner] if inner else [f"{start} {wrong}"] if wrong else []
    return lines
