"""A point that one node misses, or has otherwise, is lost; so is all that a silent node held."""

from collections.abc import Callable

import pytest

from proof.targets.cluster_audit import Audit, Cluster, audit, await_recovery
from proof.traffic.vectors import fingerprint, signs
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, served

DIMENSIONS = 8
POINTS = {point: signs(point, DIMENSIONS) for point in range(1, 6)}
LEDGER = {point: fingerprint(vector) for point, vector in POINTS.items()}


def node_with(points: dict[int, list[float]]) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        found = [{"id": point, "vector": points[point]} for point in asked.json["ids"] if point in points]
        return Answer(200, {"result": found})

    return answer


def audited(*urls: str) -> Audit:
    cluster = Cluster(node_urls=urls, api_key="k", collection="c", dimensions=DIMENSIONS, shards=1, factor=2)
    return audit(cluster, LEDGER, FakeTime().clock)


def test_nothing_is_lost_when_every_node_has_everything() -> None:
    with served(node_with(POINTS)) as one, served(node_with(POINTS)) as other:
        assert audited(one, other).lost == set()


def test_a_point_that_one_node_misses_is_lost_there() -> None:
    with served(node_with(POINTS)) as one, served(node_with({p: v for p, v in POINTS.items() if p != 3})) as other:
        found = audited(one, other)
    assert (found.missing, found.altered, found.lost) == ({other: [3]}, {}, {3})


def test_a_point_with_another_vector_is_lost_too() -> None:
    altered = POINTS | {4: [-component for component in POINTS[4]]}
    with served(node_with(POINTS)) as one, served(node_with(altered)) as other:
        found = audited(one, other)
    assert (found.missing, found.altered, found.lost) == ({}, {other: [4]}, {4})


def test_what_a_silent_node_held_is_lost_as_far_as_anybody_can_tell() -> None:
    with served(node_with(POINTS)) as one:
        assert audited(one, "http://127.0.0.1:1").missing == {"http://127.0.0.1:1": sorted(POINTS)}


def test_a_ledger_that_was_altered_is_refused() -> None:
    with pytest.raises(ValueError, match="fingerprint of point 1"):
        audit(
            Cluster(node_urls=[], api_key="k", collection="c", dimensions=DIMENSIONS, shards=1, factor=2),
            {1: LEDGER[2]},
        )


def test_one_good_look_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.targets.cluster_audit.PAUSE_SECONDS", 0)
    looks = iter([[], ["a shard is Dead"], [], [], []])
    assert await_recovery(lambda: next(looks), 60) == []
    assert list(looks) == []


def test_what_never_becomes_whole_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.targets.cluster_audit.PAUSE_SECONDS", 0)
    assert await_recovery(lambda: ["a shard is Dead"], 0) == ["a shard is Dead"]
