"""Vectors with fingerprints that survive a database's normalisation and rounding."""

import hashlib
import random
from collections.abc import Sequence
from math import sqrt

DECIMALS = 3


def signs(point: int, dimensions: int) -> list[float]:
    """The vector of a point: length 1, each component the same but for its sign, which the point's id decides.

    At length 1 a cosine collection has nothing to normalise, and no component is near a place where rounding turns.
    """
    numbers, component = random.Random(point), 1 / sqrt(dimensions)
    return [component if numbers.getrandbits(1) else -component for _ in range(dimensions)]


def fingerprint(vector: Sequence[float]) -> str:
    """SHA-256 of the components, rounded to three decimals."""
    return hashlib.sha256(",".join(f"{component:.{DECIMALS}f}" for component in vector).encode()).hexdigest()
