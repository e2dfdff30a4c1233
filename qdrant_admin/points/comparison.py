"""Whether copies hold the same points: replica against replica, source against target, ledger against every copy.

Asked directly, a node answers from its own copy of every shard that it holds Active, and from another's for the rest.
So what every node answers alike stands on every copy; what one of them misses is missing on a copy of its own, or on
the one that it was answered from.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from qdrant_admin.points.client import Id, NodePoints, Point, order
from qdrant_admin.points.equality import MISSING, OTHER_VECTOR, as_stored, canonical, close, fault, vector_sha256

LOOKED_UP = 256  # points in one look-up
LOOKS = 5  # at what differs, before it is believed: a write under way reaches one copy before the other
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An acknowledged point: its id, and if the ledger has it the vector, or the SHA-256 of the vector as stored."""

    id: Id
    vector: Any = None
    vector_sha256: str | None = None

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Self:
        """A line of a ledger: {"id": …, "vector": […]?, "vector_sha256": "…"?}; KeyError without an id."""
        return cls(id=line["id"], vector=line.get("vector"), vector_sha256=line.get("vector_sha256"))

    def fault(self, found: Point | None) -> str:
        """What is wrong with the point as it was found; empty when nothing is."""
        if found is None:
            return MISSING
        vector = found.get("vector")
        if self.vector_sha256 and vector_sha256(vector) != self.vector_sha256:
            return OTHER_VECTOR
        # The ledger has the vector as it was sent.
        right = self.vector is None or close(self.vector, vector) or close(as_stored(self.vector), vector)
        return "" if right else OTHER_VECTOR


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One point that is not right in one place."""

    id: Id
    place: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """An id of which not all places say the same; None where it is missing."""

    id: Id
    seen: Mapping[str, Point | None]

    def findings(self) -> list[Finding]:
        """What is wrong where, measured by the first place that has the point; nothing when none has it any more."""
        reference = next((point for point in self.seen.values() if point), None)
        said = {place: fault(reference, point) for place, point in self.seen.items()} if reference else {}
        return [Finding(id=self.id, place=place, what=what) for place, what in said.items() if what]


def disputes(places: Mapping[str, Iterable[Point]]) -> Iterator[Dispute]:
    """Ids of which the places, each in the order of ids, do not all say the same; holds one point of each at a time."""
    streams = {place: iter(points) for place, points in places.items()}
    heads = {place: next(stream, None) for place, stream in streams.items()}
    while any(heads.values()):
        first = min((head["id"] for head in heads.values() if head), key=order)
        seen = {place: head if head and head["id"] == first else None for place, head in heads.items()}
        dispute = Dispute(id=first, seen=seen)
        if dispute.findings():
            yield dispute
        for place, point in seen.items():
            if point:
                heads[place] = next(streams[place], None)


def compare_replicas(
    nodes: Sequence[NodePoints], name: str, heard: Callable[[Point], None] = lambda _: None
) -> list[Finding]:
    """Every difference between what the nodes answer that lasts; `heard` is told each point of the first node."""
    places: dict[str, Iterable[Point]] = {node.url: node.points(name) for node in nodes}
    places[nodes[0].url] = told(places[nodes[0].url], heard)

    def look(ids: list[Id]) -> list[Finding]:
        seen = {node.url: node.retrieve(name, ids) for node in nodes}
        again = (Dispute(id=i, seen={place: found.get(i) for place, found in seen.items()}) for i in ids)
        return [finding for dispute in again for finding in dispute.findings()]

    return _lasting([dispute.id for dispute in disputes(places)], look)


def check_ledger(
    nodes: Sequence[NodePoints], name: str, ledger: Sequence[Entry], checked: Callable[[int], None] = lambda _: None
) -> list[Finding]:
    """Each acknowledged point that a node lacks, or has otherwise, for good; `checked` is told how many it was."""
    entries = {canonical(entry.id): entry for entry in ledger}

    def look(ids: list[Id]) -> list[Finding]:
        findings = []
        for node in nodes:
            found = node.retrieve(name, ids, payload=False)
            said = {point: entries[point].fault(found.get(point)) for point in ids}
            findings += [Finding(id=point, place=node.url, what=what) for point, what in said.items() if what]
        return findings

    suspects: list[Id] = []
    for ids in _portions(list(entries)):
        suspects += dict.fromkeys(finding.id for finding in look(ids))
        checked(len(ids))
    return _lasting(suspects, look)


def told(points: Iterable[Point], heard: Callable[[Point], None]) -> Iterator[Point]:
    """The same points, each of which `heard` is told on its way."""
    for point in points:
        heard(point)
        yield point


def _lasting(ids: list[Id], look: Callable[[list[Id]], list[Finding]]) -> list[Finding]:
    """What is still found at the last of several looks."""
    findings: list[Finding] = []
    for attempt in range(LOOKS):
        findings = [finding for portion in _portions(ids) for finding in look(portion)]
        ids = list(dict.fromkeys(finding.id for finding in findings))
        if not ids or attempt == LOOKS - 1:
            break
        time.sleep(PAUSE_SECONDS)
    return findings


def _portions(ids: list[Id]) -> Iterator[list[Id]]:
    return (ids[start : start + LOOKED_UP] for start in range(0, len(ids), LOOKED_UP))
