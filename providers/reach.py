"""How a node is reached from here: the one place that knows of more than plain URLs."""

from providers.qdrant_api import QdrantApi


def reach(url: str, api_key: str) -> QdrantApi:
    """A client of the node at this address."""
    return QdrantApi(url, api_key)
