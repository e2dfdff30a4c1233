"""Vectors made anew, by the ingest role, from the texts in the payloads."""

from typing import Any

import requests

from access.direct import direct_session
from access.kubernetes.tunnel import local
from qdrant_admin.api import path
from qdrant_admin.points.client import Point

CALL_SECONDS = 300  # a page of texts on one busy core
ATTEMPTS = 5


class ReindexClient:
    """The ingest role, by its URL and the service token; RuntimeError, with the reason, for a call that fails."""

    def __init__(self, url: str, token: str, embedder: str) -> None:
        self._url = url
        self._embedder = embedder
        self._session = direct_session()
        self._session.headers["X-Service-Token"] = token

    def vector_size(self) -> int:
        """Dimensions of the embedder's vectors."""
        return int(self._call("GET", path("embedders", self._embedder))["vector_size"])

    def reembed(self, source: str, target: str, ids: list[Any]) -> None:
        """Write these points of the source into the target, with vectors of the embedder; returns when it has them."""
        body = {"source": source, "target": target, "ids": ids, "embedder": self._embedder}
        self._call("POST", "/reembed", body)

    def _call(self, method: str, where: str, body: Any = None) -> dict[str, Any]:
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                answer = self._session.request(method, local(self._url) + where, json=body, timeout=(5, CALL_SECONDS))
            except requests.RequestException as error:
                reason = type(error).__name__
                continue
            if answer.ok:
                found: dict[str, Any] = answer.json()
                return found
            reason = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code < 500:
                break
        raise RuntimeError(
            f"expected the ingest role at {self._url} to make vectors, found {reason}; what is served has not been "
            "changed. See make status, then run the same command again"
        )


class Reindexed:
    """Points keep their ids and payloads, and get vectors of another model."""

    description, with_vector, batch, writers = "embedded anew by the ingest role", False, 256, 1

    def __init__(self, client: ReindexClient, source: str, target: str) -> None:
        self._client, self._source, self._target = client, source, target

    def comparable(self, point: Point) -> Point:
        """Without the payload's digest, which depends on the model too."""
        return point | {"payload": {key: each for key, each in (point.get("payload") or {}).items() if key != "digest"}}

    def write(self, points: list[Point]) -> None:
        self._client.reembed(self._source, self._target, [point["id"] for point in points])
