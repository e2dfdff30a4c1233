"""A point that one node misses, or has with another vector, is lost; so is all on a node that does not answer."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from ops.parts import Parts
from ops.stack import StackFiles
from proof.targets import readiness
from proof.targets.cluster_audit import Audit, Cluster, audit
from proof.targets.proof_stack import ProofStack
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


def test_nothing_is_lost_when_every_node_has_every_point() -> None:
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


def test_everything_on_a_node_that_does_not_answer_counts_as_lost() -> None:
    with served(node_with(POINTS)) as one:
        assert audited(one, "http://127.0.0.1:1").missing == {"http://127.0.0.1:1": sorted(POINTS)}


def test_a_ledger_that_was_altered_is_refused() -> None:
    with pytest.raises(ValueError, match="fingerprint of point 1"):
        audit(
            Cluster(node_urls=[], api_key="k", collection="c", dimensions=DIMENSIONS, shards=1, factor=2),
            {1: LEDGER[2]},
        )


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[str]]], ProofStack]:
    """A stack whose cluster reports these reasons, one list for each probe, and whose endpoints all answer."""

    def stack(coming: list[list[str]]) -> ProofStack:
        cluster = SimpleNamespace(degraded_reasons=lambda: coming.pop(0) if len(coming) > 1 else coming[0])
        monkeypatch.setattr(readiness, "cluster_of", lambda _: cluster)
        monkeypatch.setattr(readiness, "failing_endpoints", lambda *_: [])
        return ProofStack(StackFiles(name="proof", source="dev", parts=Parts()))

    return stack


def test_one_good_probe_is_not_enough(probes: Callable[[list[list[str]]], ProofStack]) -> None:
    coming = [[], ["a shard is Dead"], [], [], [], ["one probe too many"]]
    assert readiness.degraded_reasons(probes(coming), 60, FakeTime().clock) == []
    assert coming == [["one probe too many"]]


def test_what_keeps_a_cluster_degraded_is_returned(probes: Callable[[list[list[str]]], ProofStack]) -> None:
    assert readiness.degraded_reasons(probes([["a shard is Dead"]]), 0, FakeTime().clock) == ["a shard is Dead"]
