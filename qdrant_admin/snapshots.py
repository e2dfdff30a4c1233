"""A plain client of snapshots: created on a node, downloaded with a checksum, uploaded, deleted."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError, path, refusal

CHUNK_BYTES = 1 << 20
MAKING_SECONDS = 3600  # a node answers when the snapshot is complete, or has been recovered


class SnapshotApi(QdrantApi):
    """One node by its base URL; it creates snapshots of the shards it holds, and recovers from them."""

    def create_shard_snapshot(self, name: str, shard: int) -> dict[str, Any]:
        """Make a snapshot of the node's own copy of a shard: its `name`, `size` in bytes and `checksum` (SHA-256)."""
        made: dict[str, Any] = self.call(
            "POST", path("collections", name, "shards", shard, "snapshots"), None, MAKING_SECONDS
        )
        return made

    def delete_shard_snapshot(self, name: str, shard: int, snapshot: str) -> None:
        """Remove the snapshot from the node."""
        self.call("DELETE", path("collections", name, "shards", shard, "snapshots", snapshot), None, MAKING_SECONDS)

    def create_collection_snapshot(self, name: str) -> dict[str, Any]:
        """Make a snapshot of all that the node itself holds of a collection, and leave it there."""
        made: dict[str, Any] = self.call("POST", path("collections", name, "snapshots"), None, MAKING_SECONDS)
        return made

    def download(self, name: str, shard: int, snapshot: str, to: Path, on_bytes: Callable[[int], None]) -> str:
        """Write the snapshot to a file; returns its SHA-256. `on_bytes` gets the size of each chunk."""
        at = self.url + path("collections", name, "shards", shard, "snapshots", snapshot)
        digest = hashlib.sha256()
        try:
            with self._session.get(at, stream=True, timeout=(2, 60)) as answer, to.open("wb") as file:
                if answer.status_code >= 400:
                    raise QdrantError(answer.status_code, refusal(answer))
                for chunk in answer.iter_content(CHUNK_BYTES):
                    file.write(chunk)
                    digest.update(chunk)
                    on_bytes(len(chunk))
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        return digest.hexdigest()

    def upload(self, name: str, shard: int, file: Path, checksum: str, on_bytes: Callable[[int], None]) -> None:
        """Recover the shard from a snapshot; the shard's other copies follow it."""
        boundary = secrets.token_hex(16)
        body = _Multipart(file, boundary, on_bytes)
        try:
            answer = self._session.post(
                self.url + path("collections", name, "shards", shard, "snapshots", "upload"),
                # The default priority was another one before 1.10: with `snapshot` the other copies are made anew.
                params={"priority": "snapshot", "wait": "true", "checksum": checksum},
                data=body,
                headers={"content-type": f"multipart/form-data; boundary={boundary}"},
                timeout=(2, MAKING_SECONDS),
            )
        except requests.RequestException as error:
            raise NodeUnreachable(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code >= 400:
            raise QdrantError(answer.status_code, refusal(answer))


class _Multipart:
    """A file as the field `snapshot` of a form, in chunks: `requests` would read all of it into memory first."""

    def __init__(self, file: Path, boundary: str, on_bytes: Callable[[int], None]) -> None:
        disposition = f'Content-Disposition: form-data; name="snapshot"; filename="{file.name}"'
        self._head = f"--{boundary}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file, self._on_bytes = file, on_bytes

    def __len__(self) -> int:
        return len(self._head) + self._file.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._file.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
                self._on_bytes(len(chunk))
        yield self._tail


def sha256_of(file: Path) -> str:
    """A file's SHA-256."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
