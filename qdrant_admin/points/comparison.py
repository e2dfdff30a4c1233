"""Whether copies hold the same points: replica against replica, source against target, ledger against every copy.

Asked directly, a node answers from its own replica of every shard that it holds Active, and from another's for the
rest. So what every node returns alike is on every replica; what one of them lacks is missing on a replica of its own,
or on the one that it was answered from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from access.polling import Clock
from qdrant_admin.points.client import Id, Point, Points, order
from qdrant_admin.points.equality import MISSING, OTHER_VECTOR, as_stored, canonical, fault, same_vector
from qdrant_admin.points.equality import vector_sha256 as sha256_of

LOOKED_UP = 256  # points in one look-up
LOOK_UPS = 5  # of what differs, before it is reported: a write under way reaches one replica before the other
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
        if self.vector_sha256 and sha256_of(vector) != self.vector_sha256:
            return OTHER_VECTOR
        # The ledger has the vector as it was sent.
        right = self.vector is None or same_vector(self.vector, vector) or same_vector(as_stored(self.vector), vector)
        return "" if right else OTHER_VECTOR


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One point that is not right in one place."""

    id: Id
    place: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An id that is not the same in all places; None where it is missing."""

    id: Id
    found: Mapping[str, Point | None]

    def findings(self) -> list[Finding]:
        """What is wrong where, measured by the first place that has the point; nothing when none has it any more."""
        reference = next((point for point in self.found.values() if point), None)
        faults = {place: fault(reference, point) for place, point in self.found.items()} if reference else {}
        return [Finding(id=self.id, place=place, what=what) for place, what in faults.items() if what]


def differences(places: Mapping[str, Iterable[Point]]) -> Iterator[Difference]:
    """Ids that differ between places, each read in the order of ids; holds one point of each place at a time."""
    streams = {place: iter(points) for place, points in places.items()}
    heads = {place: next(stream, None) for place, stream in streams.items()}
    while any(heads.values()):
        first = min((head["id"] for head in heads.values() if head), key=order)
        found = {place: head if head and head["id"] == first else None for place, head in heads.items()}
        difference = Difference(id=first, found=found)
        if difference.findings():
            yield difference
        for place, point in found.items():
            if point:
                heads[place] = next(streams[place], None)


def compare_replicas(copies: Sequence[Points], on_point: Callable[[Point], None] = lambda _: None) -> list[Finding]:
    """Every lasting difference between what single nodes return; `on_point` gets each point of the first one."""
    places: dict[str, Iterable[Point]] = {copy.place: copy for copy in copies}
    places[copies[0].place] = passing_on(copies[0], on_point)

    def look_up(ids: list[Id]) -> list[Finding]:
        found = {copy.place: copy.retrieve(ids) for copy in copies}
        again = (Difference(id=i, found={place: points.get(i) for place, points in found.items()}) for i in ids)
        return [finding for difference in again for finding in difference.findings()]

    return _lasting([difference.id for difference in differences(places)], look_up, copies[0].nodes.clock)


def check_ledger(
    copies: Sequence[Points], ledger: Sequence[Entry], on_progress: Callable[[int], None] = lambda _: None
) -> list[Finding]:
    """Each acknowledged point that a node lastingly lacks or has otherwise; `on_progress` gets the number checked."""
    entries = {canonical(entry.id): entry for entry in ledger}

    def look_up(ids: list[Id]) -> list[Finding]:
        findings = []
        for copy in copies:
            found = copy.retrieve(ids, with_payload=False)
            faults = {point: entries[point].fault(found.get(point)) for point in ids}
            findings += [Finding(id=point, place=copy.place, what=what) for point, what in faults.items() if what]
        return findings

    suspects: list[Id] = []
    for ids in _portions(list(entries)):
        suspects += dict.fromkeys(finding.id for finding in look_up(ids))
        on_progress(len(ids))
    return _lasting(suspects, look_up, copies[0].nodes.clock)


def passing_on(points: Iterable[Point], on_point: Callable[[Point], None]) -> Iterator[Point]:
    """The same points; `on_point` gets each on its way."""
    for point in points:
        on_point(point)
        yield point


def _lasting(ids: list[Id], look_up: Callable[[list[Id]], list[Finding]], clock: Clock) -> list[Finding]:
    """What the last of several look-ups still finds."""
    findings: list[Finding] = []
    for attempt in range(LOOK_UPS):
        findings = [finding for portion in _portions(ids) for finding in look_up(portion)]
        ids = list(dict.fromkeys(finding.id for finding in findings))
        if not ids or attempt == LOOK_UPS - 1:
            break
        clock.sleep(PAUSE_SECONDS)
    return findings


def _portions(ids: list[Id]) -> Iterator[list[Id]]:
    return (ids[start : start + LOOKED_UP] for start in range(0, len(ids), LOOKED_UP))
