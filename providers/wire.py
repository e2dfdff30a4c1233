"""Between the engine and a dynamic provider: what it does to inputs on their way, undone, and what it is told."""

import os
import sys
from collections.abc import Mapping
from typing import Any

# Where a cluster is that no state knows of yet: a resource that is imported brings its name and nothing else.
NODE_URLS, API_KEY, ALIAS = "RAG_QDRANT_NODE_URLS", "RAG_QDRANT_API_KEY", "RAG_COLLECTION_ALIAS"


def with_integers(value: Any) -> Any:
    """The same inputs with whole numbers as int again: the engine hands every number over as a float."""
    if isinstance(value, Mapping):
        return {key: with_integers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_integers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def reachable(props: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the way to the cluster out of the environment where the state has none; RuntimeError without."""
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
    """Progress, for whoever runs the engine: it shows what a provider writes here."""
    print(text, file=sys.stderr, flush=True)


def python_minor() -> str:
    """Which Python wrote a state."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
