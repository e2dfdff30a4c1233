"""A collection is done when its replicas stand on the peers, whatever Qdrant answered on the way there."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers import replication
from providers.qdrant_api import NodeUnreachable, QdrantError
from providers.replication import change, create_or_adopt, drop, observe
from tests.unit.fake_qdrant import CUT_OFF, KEY, NAME, NEVER, RACED, REFUSED, TOO_LATE, FakeCluster, running_cluster

REPLICATED = {"physical_replication_factor": 2}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.setattr(replication, "PAUSE_SECONDS", 0)
    with running_cluster() as cluster:
        yield cluster


def declared(cluster: FakeCluster, **changes: Any) -> dict[str, Any]:
    """The inputs of a ReplicatedCollection, with no patience at all."""
    return {
        "name": NAME,
        "vector_size": 4,
        "distance": "Cosine",
        "shard_number": 2,
        "replication_factor": 2,
        "write_consistency_factor": 1,
        "node_urls": cluster.urls,
        "api_key": KEY,
        "timeout_seconds": 0,
    } | changes


def test_a_collection_is_made_once_as_declared_and_adopted_ever_after(cluster: FakeCluster) -> None:
    assert create_or_adopt(declared(cluster)) == REPLICATED | {"adopted": False}
    assert create_or_adopt(declared(cluster)) == REPLICATED | {"adopted": True}
    body = {
        "vectors": {"size": 4, "distance": "Cosine"},
        "shard_number": 2,
        "replication_factor": 2,
        "write_consistency_factor": 1,
    }
    assert cluster.changes == [("PUT", f"/collections/{NAME}", body)]


@pytest.mark.parametrize("creating", [CUT_OFF, TOO_LATE, RACED])
def test_what_became_of_the_collection_counts_and_not_the_answer(cluster: FakeCluster, creating: str) -> None:
    cluster.creating = creating
    assert create_or_adopt(declared(cluster)) == REPLICATED | {"adopted": False}


@pytest.mark.parametrize(("creating", "words"), [(NEVER, "consensus operation commit failed"), (REFUSED, "distance")])
def test_a_collection_that_was_not_made_is_an_error_in_qdrants_words(
    cluster: FakeCluster, creating: str, words: str
) -> None:
    cluster.creating = creating
    with pytest.raises(QdrantError, match=words):
        create_or_adopt(declared(cluster))


def test_a_wrong_key_is_said(cluster: FakeCluster) -> None:
    with pytest.raises(QdrantError, match="HTTP 401: Must provide an API key"):
        create_or_adopt(declared(cluster, api_key="another"))
    assert cluster.collections == {}


@pytest.mark.parametrize(
    ("found", "point"),
    [
        ({"vectors": {"size": 8, "distance": "Cosine"}}, "vector_size: expected 4, found 8"),
        ({"vectors": {"size": 4, "distance": "Dot"}}, "distance: expected Cosine, found Dot"),
        ({"vectors": {"text": {"size": 4, "distance": "Cosine"}}}, "vector_size: expected 4, found None"),
        ({"shard_number": 3}, "shard_number: expected 2, found 3"),
        ({"replication_factor": 3}, "replication_factor: expected 2, found 3"),
        ({"write_consistency_factor": 2}, "write_consistency_factor: expected 1, found 2"),
    ],
)
def test_a_misfit_is_refused_by_its_point_and_nothing_is_changed(
    cluster: FakeCluster, found: dict[str, Any], point: str
) -> None:
    cluster.add(**found)
    with pytest.raises(RuntimeError, match=point) as refused:
        create_or_adopt(declared(cluster))
    assert "nothing was changed" in str(refused.value)
    assert cluster.changes == []


def test_a_misfit_is_told_in_all_its_points_at_once(cluster: FakeCluster) -> None:
    cluster.add(shard_number=1, replication_factor=3)
    with pytest.raises(RuntimeError, match=r"shard_number: .*; replication_factor: .*"):
        create_or_adopt(declared(cluster))


def test_a_misfit_that_somebody_else_made_meanwhile_is_refused_too(cluster: FakeCluster) -> None:
    cluster.creating = RACED
    cluster.made_by_others = {"shard_number": 6}
    with pytest.raises(RuntimeError, match="shard_number: expected 2, found 6"):
        create_or_adopt(declared(cluster))


def test_parameters_that_promise_two_replicas_do_not_make_up_for_one(cluster: FakeCluster) -> None:
    cluster.replicas_made = 1
    with pytest.raises(TimeoutError, match=r"shard 0 has 1 of 2 Active replicas.*shard 1 has 1 of 2") as refused:
        create_or_adopt(declared(cluster))
    assert cluster.collections[NAME].params["replication_factor"] == 2
    assert "Check that all nodes are up" in str(refused.value)


def test_a_shard_that_no_node_knows_of_is_missed(cluster: FakeCluster) -> None:
    cluster.add()
    del cluster.collections[NAME].replicas[1]
    with pytest.raises(TimeoutError, match=f"{cluster.urls[0]} knows 1 of 2 shards"):
        create_or_adopt(declared(cluster))


def test_an_adopted_collection_must_be_replicated_as_well(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    with pytest.raises(TimeoutError, match="shard 0 has 1 of 2 Active replicas"):
        create_or_adopt(declared(cluster))


def test_replicas_that_become_active_in_time_are_waited_for(cluster: FakeCluster) -> None:
    cluster.first_state, cluster.looks_until_active = "Initializing", 7
    assert create_or_adopt(declared(cluster, timeout_seconds=30)) == REPLICATED | {"adopted": False}


def test_a_node_that_is_silent_for_a_while_is_passed_over_and_waited_for(cluster: FakeCluster) -> None:
    cluster.looks_down = {0: 3}
    assert create_or_adopt(declared(cluster, timeout_seconds=30)) == REPLICATED | {"adopted": False}
    assert cluster.looks_down == {0: 0}


def test_a_node_that_stays_silent_is_named(cluster: FakeCluster) -> None:
    cluster.down = {0}
    with pytest.raises(TimeoutError, match=cluster.urls[0]):
        create_or_adopt(declared(cluster))
    assert NAME in cluster.collections, "the others made it: the next run adopts it"


def test_a_node_that_does_not_know_the_collection_does_not_hide_it(cluster: FakeCluster) -> None:
    cluster.add()
    cluster.ignorant = {0}
    seen = observe(declared(cluster))
    assert seen is not None
    with pytest.raises(TimeoutError, match=f"{cluster.urls[0]} does not know the collection"):
        create_or_adopt(declared(cluster))
    assert cluster.changes == []


def test_what_is_observed_is_the_worst_shard_and_not_the_parameters(cluster: FakeCluster) -> None:
    cluster.add()
    cluster.collections[NAME].replicas[1] = {12: "Active", 13: "Dead"}
    cluster.down = {0}
    seen = observe(declared(cluster))
    assert seen is not None
    assert (seen["replication_factor"], seen["physical_replication_factor"]) == (2, 1)


def test_a_cluster_that_does_not_answer_is_told_from_a_collection_that_is_gone(cluster: FakeCluster) -> None:
    assert observe(declared(cluster)) is None
    cluster.down = {0, 1, 2}
    with pytest.raises(NodeUnreachable):
        observe(declared(cluster))


def test_another_write_consistency_is_set_in_place(cluster: FakeCluster) -> None:
    cluster.add()
    olds = declared(cluster) | {"adopted": True}
    assert change(olds, declared(cluster, write_consistency_factor=2)) == REPLICATED | {"adopted": True}
    assert cluster.changes == [("PATCH", f"/collections/{NAME}", {"params": {"write_consistency_factor": 2}})]


def test_a_change_is_done_only_when_the_collection_is_replicated(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    with pytest.raises(TimeoutError, match="1 of 2 Active replicas"):
        change(declared(cluster), declared(cluster))
    assert cluster.changes == []


@pytest.mark.parametrize(
    "wish", [{"replication_factor": 3}, {"vector_size": 8}, {"distance": "Dot"}, {"shard_number": 6}, {"name": "other"}]
)
def test_what_needs_another_collection_is_refused_with_advice(cluster: FakeCluster, wish: dict[str, Any]) -> None:
    cluster.add()
    with pytest.raises(RuntimeError, match=f"expected {next(iter(wish))} of collection {NAME} to stay") as refused:
        change(declared(cluster), declared(cluster, **wish))
    assert "re-index into it, then drop the old one" in str(refused.value)
    assert cluster.changes == []


def test_a_collection_is_dropped_and_one_that_is_gone_is_no_error(cluster: FakeCluster) -> None:
    cluster.add()
    cluster.add("of-somebody-else")
    cluster.down = {0}
    drop(declared(cluster))
    drop(declared(cluster))
    assert list(cluster.collections) == ["of-somebody-else"]
    assert [method for method, _, _ in cluster.changes] == ["DELETE"]
