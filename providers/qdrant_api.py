"""A plain client of one Qdrant node: the cluster calls that an installer needs, as the REST API names them."""

from typing import Any

import requests

from providers.tunnel import local


class QdrantError(Exception):
    """The node answered, and the answer is no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class NodeUnreachable(Exception):
    """Nothing answers at the node's address, or not in time."""


class QdrantApi:
    """One node, by its base URL; raises QdrantError or NodeUnreachable."""

    def __init__(self, url: str, api_key: str, timeout_seconds: float = 10) -> None:
        self.url = url
        self._timeout = timeout_seconds
        self._session = requests.Session()
        self._session.headers["api-key"] = api_key

    def cluster(self) -> dict[str, Any]:
        """This node's view of the peers and of raft."""
        view: dict[str, Any] = self._result("GET", "/cluster")
        return view

    def collections(self) -> list[str]:
        """Names of the collections this node knows."""
        return [entry["name"] for entry in self._result("GET", "/collections")["collections"]]

    def collection(self, name: str) -> dict[str, Any] | None:
        """Configuration and status of a collection; None if there is none of that name."""
        try:
            found: dict[str, Any] = self._result("GET", f"/collections/{name}")
        except QdrantError as error:
            if error.status == 404:
                return None
            raise
        return found

    def collection_cluster(self, name: str) -> dict[str, Any]:
        """Where this node believes each replica of each shard to be, and in which state."""
        view: dict[str, Any] = self._result("GET", f"/collections/{name}/cluster")
        return view

    def create_collection(self, name: str, body: dict[str, Any], timeout_seconds: int) -> None:
        """Create the collection; the server waits up to the time-out for its replicas."""
        self._result("PUT", f"/collections/{name}?timeout={timeout_seconds}", body, timeout_seconds + 5)

    def update_collection(self, name: str, body: dict[str, Any], timeout_seconds: int) -> None:
        """Change parameters of the collection; moves no replica (see the provider)."""
        self._result("PATCH", f"/collections/{name}?timeout={timeout_seconds}", body, timeout_seconds + 5)

    def delete_collection(self, name: str, timeout_seconds: int) -> None:
        """Delete the collection and its data."""
        self._result("DELETE", f"/collections/{name}?timeout={timeout_seconds}", None, timeout_seconds + 5)

    def _result(self, method: str, path: str, body: Any = None, timeout_seconds: float | None = None) -> Any:
        try:
            answer = self._session.request(
                method, local(self.url) + path, json=body, timeout=(2, timeout_seconds or self._timeout)
            )
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code >= 400:
            raise QdrantError(answer.status_code, _message(answer))
        return answer.json()["result"]


def _message(answer: requests.Response) -> str:
    try:
        status = answer.json()["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
