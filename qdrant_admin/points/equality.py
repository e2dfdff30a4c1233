"""When two points are the same: equal payloads, and vectors that differ by rounding at most; pure."""

import hashlib
import math
import sys
import uuid
from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from qdrant_admin.points.client import Id, Point

# Every replica normalises vectors of the distance Cosine itself, in single precision: the last bits may differ.
TOLERANCE = 1e-5  # by which a component may differ, relative to the largest component of its vector

MISSING, OTHER_VECTOR, OTHER_PAYLOAD = "missing", "another vector", "another payload"


def fault(wanted: Point, found: Point | None) -> str:
    """What is wrong with a point; empty when nothing is."""
    if found is None:
        return MISSING
    if found is wanted or found == wanted:
        return ""
    if not same_vector(wanted.get("vector"), found.get("vector")):
        return OTHER_VECTOR
    return "" if (wanted.get("payload") or {}) == (found.get("payload") or {}) else OTHER_PAYLOAD


def same_vector(one: Any, other: Any) -> bool:
    """Whether two vectors (dense, named, sparse or multi) differ by rounding at most.

    A sparse vector is a value for each index, in whatever order they are listed.
    """
    if _is_sparse(one) and _is_sparse(other):
        here, there = _by_index(one), _by_index(other)
        return here.keys() == there.keys() and same_vector([*here.values()], [there[index] for index in here])
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_vector(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        if one and isinstance(one[0], list):
            return all(map(same_vector, one, other))
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
    """Number and order-independent checksum of the points added to it."""

    def __init__(self) -> None:
        self.points, self._sum = 0, 0

    def add(self, point: Point) -> None:
        self.points += 1
        self._sum = (self._sum + fingerprint(point)) % (1 << 128)

    def __str__(self) -> str:
        return f"{self._sum:032x}"


def canonical(point_id: Id) -> Id:
    """A UUID as Qdrant writes it, however it was given."""
    return point_id if isinstance(point_id, int) else str(uuid.UUID(point_id))


def _is_dense(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and isinstance(vector[0], int | float)


def _is_sparse(vector: Any) -> bool:
    return isinstance(vector, Mapping) and vector.keys() == {"indices", "values"}


def _by_index(vector: Any) -> dict[int, float]:
    return dict(sorted(zip(vector["indices"], vector["values"], strict=True)))


def _in_order(vector: Any) -> Any:
    """The same for every order in which the indices of a sparse vector may be listed."""
    if _is_sparse(vector):
        by_index = _by_index(vector)
        return {"indices": [*by_index], "values": [*by_index.values()]}
    return {name: _in_order(each) for name, each in vector.items()} if isinstance(vector, Mapping) else vector


def _packed(vector: Any) -> bytes:
    if not _is_dense(vector):
        return orjson.dumps(_in_order(vector), option=orjson.OPT_SORT_KEYS)
    singles = array("f", vector)
    if sys.byteorder == "big":
        singles.byteswap()
    return singles.tobytes()
