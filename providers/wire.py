"""What the engine does to a dynamic provider's inputs on their way, undone."""

from collections.abc import Mapping
from typing import Any


def whole(props: Mapping[str, Any]) -> dict[str, Any]:
    """The same inputs with whole numbers as int again: the engine hands every number over as a float."""
    return {key: _whole(value) for key, value in props.items()}


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
