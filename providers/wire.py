"""Between the engine and a dynamic provider: inputs as they were declared, and progress."""

import os
import sys
from collections.abc import Mapping
from typing import Any

# The address of a cluster that is in no state yet: a resource that is imported brings its name only.
NODE_URLS, API_KEY, ALIAS = "RAG_QDRANT_NODE_URLS", "RAG_QDRANT_API_KEY", "RAG_COLLECTION_ALIAS"


def with_integers(value: Any) -> Any:
    """The same inputs with whole numbers as int again: the engine hands every number over as a float."""
    if isinstance(value, Mapping):
        return {key: with_integers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_integers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def reachable(props: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the cluster's address from the environment where the state has none; RuntimeError without."""
    if props.get("node_urls"):
        return dict(props)
    missing = [name for name in (NODE_URLS, API_KEY, ALIAS) if not os.environ.get(name)]
    if missing:
        raise RuntimeError(
            f"expected the way to the cluster in the environment, found no {', '.join(missing)}; set them"
        )
    found = {"node_urls": os.environ[NODE_URLS].split(","), "api_key": os.environ[API_KEY], "alias": os.environ[ALIAS]}
    return {**props, **found}


def report(text: str) -> None:
    """Progress: the engine shows what a provider writes to stderr."""
    print(text, file=sys.stderr, flush=True)


def python_minor() -> str:
    """Which Python wrote a state."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
