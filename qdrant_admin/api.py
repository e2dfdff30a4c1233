"""A plain client of one Qdrant node: the cluster calls that an installer needs, as the REST API names them."""

from typing import Any
from urllib.parse import quote

import orjson
import requests

from access.direct import direct_session
from access.kubernetes.tunnel import local

TOO_MANY = 429
CONSENSUS_SECONDS = 30  # how long a change that all nodes must agree on may take


class QdrantError(Exception):
    """The node answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status

    @property
    def permanent(self) -> bool:
        """Whether another try gets the same answer: any 4xx but 429, which a rate limit gives for a while."""
        return self.status < 500 and self.status != TOO_MANY


class NodeUnreachable(Exception):
    """Nothing answers at the node's address, or not in time."""


def segment(name: str | int) -> str:
    """Any name as one segment of a path, of a URL or of a folder; QdrantError for one that no URL can carry."""
    if name in (".", ".."):
        # An HTTP client takes them for "here" and "above", escaped or not, and would ask for something else.
        raise QdrantError(400, f"expected a name that a URL can carry, found {name!r}; nothing was asked")
    return quote(str(name), safe="")


def path(*names: str | int) -> str:
    """A path whose segments may hold any character."""
    return "".join(f"/{segment(name)}" for name in names)


class QdrantApi:
    """One node, by its base URL; raises QdrantError or NodeUnreachable."""

    def __init__(self, url: str, api_key: str, timeout_seconds: float = 10) -> None:
        self.url = url
        self._timeout = timeout_seconds
        self._session = direct_session()
        self._session.headers["api-key"] = api_key
        self._session.headers["accept-encoding"] = "identity"  # else it compresses each page, dearer than all the rest

    def cluster(self) -> dict[str, Any]:
        """This node's view of the peers and of raft."""
        view: dict[str, Any] = self.call("GET", "/cluster")
        return view

    def collections(self) -> list[str]:
        """Names of the collections this node knows."""
        return [entry["name"] for entry in self.call("GET", "/collections")["collections"]]

    def collection(self, name: str) -> dict[str, Any] | None:
        """Configuration and status of a collection; None if there is none of that name."""
        try:
            found: dict[str, Any] = self.call("GET", path("collections", name))
        except QdrantError as error:
            if error.status == 404:
                return None
            raise
        return found

    def collection_cluster(self, name: str) -> dict[str, Any]:
        """Where this node reports each replica of each shard, and in which state."""
        view: dict[str, Any] = self.call("GET", path("collections", name, "cluster"))
        return view

    def create_collection(self, name: str, body: dict[str, Any], timeout_seconds: int) -> None:
        """Create the collection; the server waits up to the time-out for its replicas."""
        self.call("PUT", f"{path('collections', name)}?timeout={timeout_seconds}", body, timeout_seconds + 5)

    def update_collection(self, name: str, body: dict[str, Any], timeout_seconds: int) -> None:
        """Change parameters of the collection; moves no replica (see the provider)."""
        self.call("PATCH", f"{path('collections', name)}?timeout={timeout_seconds}", body, timeout_seconds + 5)

    def delete_collection(self, name: str, timeout_seconds: int) -> None:
        """Delete the collection and its data."""
        self.call("DELETE", f"{path('collections', name)}?timeout={timeout_seconds}", None, timeout_seconds + 5)

    def create_index(self, name: str, field: str, schema: Any, timeout_seconds: int) -> None:
        """Index a payload field; `schema` is a type, or an object with one."""
        at = f"{path('collections', name, 'index')}?wait=true&timeout={timeout_seconds}"
        self.call("PUT", at, {"field_name": field, "field_schema": schema}, timeout_seconds + 5)

    def delete_index(self, name: str, field: str, timeout_seconds: int) -> None:
        """Delete the index of a payload field."""
        at = f"{path('collections', name, 'index', field)}?wait=true&timeout={timeout_seconds}"
        self.call("DELETE", at, None, timeout_seconds + 5)

    def aliases(self) -> dict[str, str]:
        """Alias -> collection, as this node knows them."""
        return {each["alias_name"]: each["collection_name"] for each in self.call("GET", "/aliases")["aliases"]}

    def change_aliases(self, actions: list[dict[str, dict[str, str]]]) -> None:
        """All of the actions or none of them, atomically."""
        at = f"/collections/aliases?timeout={CONSENSUS_SECONDS}"
        self.call("POST", at, {"actions": actions}, 2 * CONSENSUS_SECONDS)

    def create_shard_key(self, name: str, key: str | int, shards: int, factor: int) -> None:
        """Create the shards of a key, in a collection with custom sharding; they get the next numbers."""
        self._move(
            name, {"create_sharding_key": {"shard_key": key, "shards_number": shards, "replication_factor": factor}}
        )

    def replicate_shard(self, name: str, shard: int, from_peer: int, to_peer: int) -> None:
        """Start copying a shard to a peer that has none of it; only a later view shows whether it ended."""
        ends = {"shard_id": shard, "from_peer_id": from_peer, "to_peer_id": to_peer}
        self._move(name, {"replicate_shard": ends})

    def abort_transfer(self, name: str, shard: int, from_peer: int, to_peer: int) -> None:
        """Abort a transfer that is under way."""
        ends = {"shard_id": shard, "from_peer_id": from_peer, "to_peer_id": to_peer}
        self._move(name, {"abort_transfer": ends})

    def drop_replica(self, name: str, shard: int, peer: int) -> None:
        """Drop the replica of a shard on a peer; Qdrant refuses it for the last Active one."""
        self._move(name, {"drop_replica": {"shard_id": shard, "peer_id": peer}})

    def _move(self, name: str, operation: dict[str, Any]) -> None:
        at = f"{path('collections', name, 'cluster')}?timeout={CONSENSUS_SECONDS}"
        self.call("POST", at, operation, 2 * CONSENSUS_SECONDS)

    def remove_peer(self, peer: int, *, force: bool) -> None:
        """Remove a peer from the cluster; without `force` Qdrant refuses while the peer holds shards.

        With it the copies on the peer are removed too, and created nowhere else.
        """
        forced = "true" if force else "false"
        at = f"/cluster/peer/{peer}?force={forced}&timeout={CONSENSUS_SECONDS}"
        self.call("DELETE", at, None, 2 * CONSENSUS_SECONDS)

    def call(self, method: str, at: str, body: Any = None, timeout_seconds: float | None = None) -> Any:
        """The `result` of any request."""
        return orjson.loads(self.exchange(method, at, body, timeout_seconds))["result"]

    def exchange(self, method: str, at: str, body: Any = None, timeout_seconds: float | None = None) -> bytes:
        """The whole body of the response to any request."""
        data, headers = (None, {}) if body is None else (orjson.dumps(body), {"content-type": "application/json"})
        timeout = (2, timeout_seconds or self._timeout)
        try:
            answer = self._session.request(method, local(self.url) + at, data=data, headers=headers, timeout=timeout)
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code >= 400:
            raise QdrantError(answer.status_code, refusal(answer))
        return answer.content


def refusal(answer: requests.Response) -> str:
    try:
        status = answer.json()["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
