"""What a backup consists of: written last and atomically, so that half a backup has none; never with secrets."""

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ops.stack import OperatorError
from qdrant_admin.snapshots import sha256_of

MANIFEST = "manifest.json"
SHA256 = r"^[0-9a-f]{64}$"
INSIDE = r"^[^/.][^/]*(/[^/.][^/]*)*$"  # a path that cannot lead out of the backup's folder
ShardKey = str | int


class Kept(BaseModel):
    """Unknown fields are refused; frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class File(Kept):
    """A file of the backup, by its path below the backup's folder."""

    path: str = Field(pattern=INSIDE)
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)

    @classmethod
    def of(cls, folder: Path, path: Path) -> Self:
        return cls(path=str(path.relative_to(folder)), size_bytes=path.stat().st_size, sha256=sha256_of(path))

    def broken(self, folder: Path) -> str:
        """What is wrong with it; empty when nothing is."""
        path = folder / self.path
        if not path.is_file():
            return f"{self.path}: expected {self.size_bytes} bytes, found no file"
        if path.stat().st_size != self.size_bytes:
            return f"{self.path}: expected {self.size_bytes} bytes, found {path.stat().st_size}"
        found = sha256_of(path)
        return "" if found == self.sha256 else f"{self.path}: expected SHA-256 {self.sha256}, found {found}"


class Range(Kept):
    """A number of points, or two when it moved while the snapshot was made."""

    least: int = Field(ge=0)
    most: int = Field(ge=0)

    @classmethod
    def of(cls, before: int, after: int) -> Self:
        return cls(least=min(before, after), most=max(before, after))

    def __contains__(self, points: int) -> bool:
        return self.least <= points <= self.most

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


class ShardCopy(Kept):
    """One shard: its snapshot, and how many points the copy had that it was taken of."""

    shard: int = Field(ge=0)
    key: ShardKey | None = None  # with custom sharding
    points: Range
    snapshot: File


class CollectionCopy(Kept):
    """One collection: all that creating it again needs."""

    name: str
    config: dict[str, Any]
    payload_schema: dict[str, Any]
    aliases: tuple[str, ...]
    points: Range
    shards: tuple[ShardCopy, ...]
    sample: File

    @property
    def files(self) -> list[File]:
        return [*(shard.snapshot for shard in self.shards), self.sample]

    @property
    def shard_keys(self) -> dict[int, ShardKey | None]:
        return {shard.shard: shard.key for shard in self.shards}


class Manifest(Kept):
    """A whole backup."""

    format: Literal[1] = 1
    made_at: str
    qdrant_version: str
    collections: tuple[CollectionCopy, ...]

    def write(self, folder: Path) -> Path:
        """Atomic, and on the disk when this returns."""
        path, fresh = folder / MANIFEST, folder / f".{MANIFEST}.{os.getpid()}"
        with fresh.open("w") as file:
            file.write(self.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a folder; OperatorError when there is none, or not a whole one."""
        path = folder / MANIFEST
        if not path.is_file():
            raise OperatorError(
                f"expected a backup in {folder}, found no {MANIFEST}: it is written last, so what is there is not whole"
            )
        try:
            return cls.model_validate_json(path.read_text())
        except (ValidationError, UnicodeDecodeError) as error:
            raise OperatorError(
                f"expected a whole manifest in {path}, found {str(error).splitlines()[0]}; take another backup"
            ) from error

    def collection(self, name: str) -> CollectionCopy:
        """The copy of a collection by its name, or by an alias it had; OperatorError when there is none."""
        for copy in self.collections:
            if name == copy.name or name in copy.aliases:
                return copy
        held = ", ".join(copy.name for copy in self.collections)
        raise OperatorError(f"expected collection {name} in the backup, found {held or 'none'}")


def digest_of(folder: Path) -> str:
    """Identifies a backup: SHA-256 of its manifest."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
