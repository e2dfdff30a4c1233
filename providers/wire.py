"""What the engine does to a dynamic provider's inputs on their way, undone."""

from collections.abc import Mapping
from typing import Any


def whole(props: Mapping[str, Any]) -> dict[str, Any]:
    """The same inputs with whole numbers as int again: the engine hands every number over as a float."""
    return {key: _whole(value) for key, value in props.items()}


def whole_tree(value: Any) -> Any:
    """The same for a tree of dicts and lists."""
    if isinstance(value, dict):
        return {key: whole_tree(entry) for key, entry in value.items()}
    return [whole_tree(entry) for entry in value] if isinstance(value, list) else _whole(value)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
