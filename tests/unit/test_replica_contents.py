"""Every copy has what it should, or it is said which has not."""

from collections.abc import Iterator

import pytest

from access.polling import Clock
from qdrant_admin.points.client import Points
from qdrant_admin.points.comparison import Entry, check_ledger, compare_replicas
from qdrant_admin.points.equality import Checksum, fault, same_vector, vector_sha256
from tests.unit.fake_contents import FakeContents, contents, point
from tests.unit.fake_time import FakeTime

NAME = "docs"
UUIDS = ["00000000-0000-4000-8000-000000000000", "ffffffff-0000-4000-8000-000000000000"]


@pytest.fixture
def fake() -> Iterator[FakeContents]:
    with contents() as fake:
        fake.add(NAME, 700)  # more than a page
        fake.write(NAME, [point(each) for each in UUIDS])
        yield fake


CLOCK = FakeTime().clock


def copies(fake: FakeContents, clock: Clock = CLOCK) -> list[Points]:
    return [node.points(NAME, clock) for node in fake.running.nodes]


def places(fake: FakeContents, clock: Clock = CLOCK) -> dict[int | str, set[str]]:
    """Point -> what was found where."""
    found: dict[int | str, set[str]] = {}
    for finding in compare_replicas(copies(fake, clock)):
        found.setdefault(finding.id, set()).add(f"{fake.urls.index(finding.place)} {finding.what}")
    return found


def test_equal_copies_have_nothing_to_say(fake: FakeContents) -> None:
    heard = Checksum()
    assert compare_replicas(copies(fake), heard.add) == []
    assert heard.points == 702


def test_no_page_is_asked_for_that_would_be_compressed(fake: FakeContents) -> None:
    assert compare_replicas(copies(fake)) == []
    assert fake.encodings == {"identity"}


@pytest.mark.parametrize("lost", [0, 350, 699, *UUIDS])
def test_a_point_that_one_copy_lacks_is_found_there(fake: FakeContents, lost: int | str) -> None:
    node = fake.holder(NAME, lost)
    fake.lose(NAME, lost, node)
    found = places(fake)
    assert found.keys() == {lost}
    assert f"{node} missing" in found[lost]


def test_a_vector_that_is_another_on_one_copy_is_found(fake: FakeContents) -> None:
    fake.change(NAME, 7, fake.holder(NAME, 7), vector=[0.6, 0.8, 0.01, 0.0])
    assert any("another vector" in what for what in places(fake)[7])


def test_a_payload_that_is_another_on_one_copy_is_found(fake: FakeContents) -> None:
    fake.change(NAME, 7, fake.holder(NAME, 7), payload={"n": "8"})
    assert any("another payload" in what for what in places(fake)[7])


def test_a_vector_that_was_rounded_otherwise_is_the_same(fake: FakeContents) -> None:
    fake.change(NAME, 7, fake.holder(NAME, 7), vector=[0.6, 0.8000001, 0.0, 0.0])
    assert places(fake) == {}


def test_a_write_that_reaches_the_other_copy_meanwhile_is_no_finding(fake: FakeContents) -> None:
    fake.lose(NAME, 7, fake.holder(NAME, 7))

    def write(_: float) -> None:
        fake.write(NAME, [point(7)])

    assert places(fake, Clock(sleep=write)) == {}


def test_a_ledger_of_what_is_there_is_right_whatever_its_lines_know(fake: FakeContents) -> None:
    stored = [0.6, 0.8, 0.0, 0.0]
    ledger = [Entry(id=1), Entry(id=2, vector_sha256=vector_sha256(stored)), Entry(id=3, vector=stored)]
    ledger += [Entry(id=4, vector=[3.0, 4.0, 0.0, 0.0]), Entry(id=UUIDS[1].upper())]  # as they were sent
    assert check_ledger(copies(fake), ledger) == []


def test_an_acknowledged_point_that_one_copy_lost_is_named_with_its_place(fake: FakeContents) -> None:
    node = fake.holder(NAME, 5)
    fake.lose(NAME, 5, node)
    found = check_ledger(copies(fake), [Entry(id=each) for each in range(300)])
    assert {(finding.id, finding.what) for finding in found} == {(5, "missing")}
    assert fake.urls[node] in {finding.place for finding in found}


@pytest.mark.parametrize(
    "entry", [Entry(id=5, vector=[4.0, 3.0, 0.0, 0.0]), Entry(id=5, vector_sha256="0" * 64)], ids=["vector", "hash"]
)
def test_an_acknowledged_vector_that_is_another_now_is_found(fake: FakeContents, entry: Entry) -> None:
    found = check_ledger(copies(fake), [entry])
    assert [finding.what for finding in found] == ["another vector"] * 3


def test_a_point_that_nobody_has_is_missing_everywhere(fake: FakeContents) -> None:
    assert [f.what for f in check_ledger(copies(fake), [Entry(id=10**9)])] == ["missing"] * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, 0.0], [1.0, 0.000001], True),
        ([1.0, 0.0], [1.0, 0.0001], False),
        ([1.0], [1.0, 0.0], False),
        ({"a": [1.0]}, {"a": [1.0]}, True),
        ({"a": [1.0]}, {"b": [1.0]}, False),
        ([[1.0], [2.0]], [[1.0], [2.0]], True),
        ([[1.0], [2.0]], [[1.0], [3.0]], False),
        ({"s": {"indices": [1], "values": [0.5]}}, {"s": {"indices": [2], "values": [0.5]}}, False),
        ({"t": [1.0, 0.0], "s": [1.0]}, {"t": [1.0, 0.000001], "s": [1.0]}, True),
        ({"indices": [3, 1], "values": [0.5, 0.25]}, {"indices": [1, 3], "values": [0.25, 0.5000001]}, True),
        ({"indices": [3, 1], "values": [0.5, 0.25]}, {"indices": [3, 1], "values": [0.25, 0.5]}, False),
        ({"indices": [900_000], "values": [0.5]}, {"indices": [900_001], "values": [0.5]}, False),
        ([], [], True),
        (None, [1.0], False),
    ],
)
def test_vectors_of_every_kind_are_told_apart(one: object, other: object, same: bool) -> None:
    assert same_vector(one, other) is same


def test_a_point_without_payload_is_the_same_as_one_with_an_empty_one() -> None:
    assert fault({"id": 1, "vector": [1.0]}, {"id": 1, "vector": [1.0], "payload": {}}) == ""


def test_the_checksum_knows_no_order_and_every_bit() -> None:
    def of(*points: dict[str, object]) -> str:
        checksum = Checksum()
        for each in points:
            checksum.add(each)
        return str(checksum)

    assert of(point(1), point(2)) == of(point(2), point(1))
    assert of(point(1), point(2)) != of(point(1), point(3))
    assert of(point(1)) != of(point(1) | {"vector": [0.6, 0.8000001, 0.0, 0.0]})
    assert of(point(1)) != of(point(1, more=True))
