"""When two points are the same: id, payload, and a vector that differs by rounding at most; pure."""

import hashlib
import math
import sys
import uuid
from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from qdrant_admin.points.client import Id, Point

# Qdrant normalises vectors of the distance Cosine in single precision, each copy by itself: the last bits may differ.
TOLERANCE = 1e-5  # by which a component may differ, relative to the largest component of its vector

MISSING, OTHER_VECTOR, OTHER_PAYLOAD = "missing", "another vector", "another payload"


def fault(wanted: Point, found: Point | None) -> str:
    """What is wrong with a point; empty when nothing is."""
    if found is None:
        return MISSING
    if found is wanted or found == wanted:
        return ""
    if not close(wanted.get("vector"), found.get("vector")):
        return OTHER_VECTOR
    return "" if (wanted.get("payload") or {}) == (found.get("payload") or {}) else OTHER_PAYLOAD


def close(one: Any, other: Any) -> bool:
    """Whether two vectors (dense, named, sparse or multi) are the same but for rounding."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        if one and isinstance(one[0], list):
            return all(map(close, one, other))
        allowed = TOLERANCE * max(map(abs, one), default=0.0)
        return all(abs(a - b) <= allowed for a, b in zip(one, other, strict=True))
    return bool(one == other)


def as_stored(vector: Any) -> Any:
    """A dense vector with length 1, as the distance Cosine stores it; any other as it is."""
    if not _is_dense(vector):
        return vector
    length = math.sqrt(math.fsum(component * component for component in vector))
    return [component / length for component in vector] if length else vector


def vector_sha256(vector: Any) -> str:
    """SHA-256 of a vector as Qdrant returns it: of a dense one's little-endian single precision, else of its JSON."""
    return hashlib.sha256(_packed(vector)).hexdigest()


def fingerprint(point: Point) -> int:
    """128 bits that stand for id, vector and payload; the sum of all, modulo 2¹²⁸, stands for a collection."""
    digest = hashlib.blake2b(orjson.dumps(canonical(point["id"])), digest_size=16)
    digest.update(_packed(point.get("vector")))
    digest.update(orjson.dumps(point.get("payload") or {}, option=orjson.OPT_SORT_KEYS))
    return int.from_bytes(digest.digest())


class Checksum:
    """Number and order-independent checksum of the points it has heard of."""

    def __init__(self) -> None:
        self.points, self._sum = 0, 0

    def hear(self, point: Point) -> None:
        self.points += 1
        self._sum = (self._sum + fingerprint(point)) % (1 << 128)

    def __str__(self) -> str:
        return f"{self._sum:032x}"


def canonical(point_id: Id) -> Id:
    """A UUID as Qdrant writes it, however it was given."""
    return point_id if isinstance(point_id, int) else str(uuid.UUID(point_id))


def _is_dense(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and isinstance(vector[0], int | float)


def _packed(vector: Any) -> bytes:
    if not _is_dense(vector):
        return orjson.dumps(vector, option=orjson.OPT_SORT_KEYS)
    singles = array("f", vector)
    if sys.byteorder == "big":
        singles.byteswap()
    return singles.tobytes()
