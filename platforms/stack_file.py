"""Reading stack files as the engine does: what it refuses is refused by line, and no text ends in a traceback."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import yaml

PROJECT = "rag-platform"
DEEPEST, MOST_NODES = 60, 50_000  # an alias counts each time it is used: a few lines may stand for gigabytes


class StackFileLoader(yaml.SafeLoader):
    """YAML as the engine has it: days and times are text, and so is a number that no computer holds."""

    def number(self, node: yaml.ScalarNode) -> int | str:
        """`12:30` is text, as it is everywhere but in YAML 1.1."""
        found: int = 0 if ":" in node.value else self.construct_yaml_int(node)
        return found if ":" not in node.value and abs(found) < 1 << 64 else str(node.value)

    def text(self, node: yaml.ScalarNode) -> str:
        return str(node.value)

    def fraction(self, node: yaml.ScalarNode) -> float | str:
        return str(node.value) if ":" in node.value else self.construct_yaml_float(node)


StackFileLoader.add_constructor("tag:yaml.org,2002:int", StackFileLoader.number)
StackFileLoader.add_constructor("tag:yaml.org,2002:float", StackFileLoader.fraction)
StackFileLoader.add_constructor("tag:yaml.org,2002:timestamp", StackFileLoader.text)


def read_stack_file(stack_file: Path) -> dict[str, Any]:
    """The contents of a stack file, each key of its `config` with the project before it; RunError for any mistake."""
    try:
        text = stack_file.read_bytes()
    except OSError as error:
        raise pulumi.RunError(
            f"expected a stack file that can be read, found {error.strerror}: {stack_file.name}; mend its path or mode"
        ) from error
    found = _parsed(text, stack_file.name)
    if not isinstance(found, dict) or not isinstance(found.get("config") or {}, dict):
        raise pulumi.RunError(f"expected `config:` and keys below it in {stack_file.name}, found something else")
    config = found.get("config")
    return found | {"config": _named(config, stack_file.name)} if config else found


@cache
def _parsed_once(text: bytes, name: str) -> Any:
    loader = StackFileLoader(text)
    try:
        node = loader.get_single_node()
        _check(node)
        return {} if node is None else loader.construct_document(node) or {}
    finally:
        loader.dispose()


def _parsed(text: bytes, name: str) -> Any:
    import copy

    try:
        return copy.deepcopy(_parsed_once(text, name))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise pulumi.RunError(f"expected YAML in {name}{line}, found a mistake: {error.problem}; mend it") from error
    except yaml.reader.ReaderError as error:
        raise pulumi.RunError(
            f"expected YAML in {name}, found a character that is none of text at position {error.position} "
            f"({error.reason}); remove it, or save the file as UTF-8"
        ) from error
    except RecursionError as error:
        raise pulumi.RunError(f"expected at most {DEEPEST} levels in {name}, found more; make it flatter") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # of `!!int x` and the like
        raise pulumi.RunError(
            f"expected YAML in {name}, found a value that is not of the type its tag names ({error}); remove the tag"
        ) from error


def _check(root: yaml.Node | None) -> None:
    """MarkedYAMLError at the line of a key that is given twice or is no text, and of what has no end."""
    waiting, count = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if node is None:
            continue
        if depth > DEEPEST or count > MOST_NODES:
            raise _mistake(node, f"more than {DEEPEST} levels or {MOST_NODES} values, aliases included")
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            waiting += [(each, depth + 1) for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(each, depth + 1) for each in node.value]
        elif any("\ud800" <= each <= "\udfff" for each in node.value):
            raise _mistake(node, "half of a character (an escape from \\ud800 to \\udfff)")


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
            raise _mistake(key, f"a key that is no text, {str(key.value)[:80]!r}: put it in quotes, or remove it")
        if key.value in seen:
            raise _mistake(key, f"the key {key.value[:80]} a second time: keep one of them")
        seen.add(key.value)


def _mistake(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _named(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Each key with its project, as the engine completes it: `key` and `project:config:key` are `project:key`."""
    named: dict[str, Any] = {}
    for key, value in config.items():
        head, _, rest = key.partition(":")
        full = f"{head}:{rest.removeprefix('config:')}" if rest else f"{PROJECT}:{key}"
        if full in named:
            raise pulumi.RunError(f"{full}: expected it once in {file}, found it twice; keep one of them")
        named[full] = value
    return named


def is_encrypted(value: Any) -> bool:
    """Whether a value of a stack file, or a part of it, was given as a secret."""
    if isinstance(value, Mapping):
        return "secure" in value or any(map(is_encrypted, value.values()))
    return isinstance(value, list) and any(map(is_encrypted, value))
