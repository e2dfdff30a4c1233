"""A collection is what is declared when its replicas stand on the peers, whatever Qdrant answered on the way there."""

from collections.abc import Iterator
from typing import Any

import pytest

from qdrant_admin.api import NodeUnreachable, QdrantError
from tests.unit.declaring import OTHER_LAYOUTS, declared, lifecycle
from tests.unit.fake_qdrant import (
    ALIAS,
    CUT_OFF,
    NAME,
    NEVER,
    RACED,
    REFUSED,
    TOO_LATE,
    FakeCluster,
    running_cluster,
)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running_cluster() as cluster:
        yield cluster


def up(cluster: FakeCluster, *, forget: frozenset[str] = frozenset(), **changes: Any) -> dict[str, Any]:
    return lifecycle(cluster, **changes).reconcile(forget_indexes=forget)


def asked(cluster: FakeCluster) -> list[tuple[str, str]]:
    return [(method, path.removeprefix(f"/collections/{NAME}")) for method, path, _ in cluster.changes]


def test_a_collection_is_made_once_as_declared_served_by_its_alias_and_adopted_ever_after(cluster: FakeCluster) -> None:
    assert up(cluster)["adopted"] is False
    observed = up(cluster)
    assert (observed["adopted"], observed["physical_name"], observed["physical_replication_factor"]) == (True, NAME, 2)
    body = {
        "vectors": {"size": 4, "distance": "Cosine"},
        "shard_number": 2,
        "replication_factor": 2,
        "write_consistency_factor": 1,
    }
    serve = {"actions": [{"create_alias": {"alias_name": ALIAS, "collection_name": NAME}}]}
    assert cluster.changes == [("PUT", f"/collections/{NAME}", body), ("POST", "/collections/aliases", serve)]


@pytest.mark.parametrize("creating", [CUT_OFF, TOO_LATE, RACED])
def test_what_became_of_the_collection_counts_and_not_the_answer(cluster: FakeCluster, creating: str) -> None:
    cluster.creating = creating
    assert up(cluster)["physical_replication_factor"] == 2


@pytest.mark.parametrize(("creating", "words"), [(NEVER, "consensus operation commit failed"), (REFUSED, "distance")])
def test_a_collection_that_was_not_made_is_an_error_in_qdrants_words(
    cluster: FakeCluster, creating: str, words: str
) -> None:
    cluster.creating = creating
    with pytest.raises(QdrantError, match=words):
        up(cluster)


def test_a_wrong_key_is_said(cluster: FakeCluster) -> None:
    with pytest.raises(QdrantError, match="HTTP 401: Must provide an API key"):
        up(cluster, api_key="another")
    assert cluster.collections == {}


def test_nothing_is_made_before_enough_peers_vote(cluster: FakeCluster) -> None:
    cluster.raft = {1: {"is_voter": False}, 2: {"is_voter": False}}
    with pytest.raises(TimeoutError, match=r"expected 2 voting peers.*found 1; nothing was changed"):
        up(cluster, timeout_seconds=0)
    assert cluster.changes == []


@pytest.mark.parametrize(
    ("found", "point"),
    [
        ({"vectors": {"size": 8, "distance": "Cosine"}}, "vector_size: expected 4, found 8"),
        ({"vectors": {"size": 4, "distance": "Dot"}}, "distance: expected Cosine, found Dot"),
        *OTHER_LAYOUTS,
        ({"shard_number": 3}, "shard_number: expected 2, found 3"),
    ],
)
def test_a_misfit_that_is_not_ours_is_refused_by_its_point_and_nothing_is_changed(
    cluster: FakeCluster, found: dict[str, Any], point: str
) -> None:
    cluster.add(**found)
    with pytest.raises(RuntimeError, match=point) as refused:
        up(cluster)
    assert "nothing was changed" in str(refused.value)
    assert cluster.changes == []


def test_a_misfit_is_told_in_all_its_points_at_once(cluster: FakeCluster) -> None:
    cluster.add(shard_number=1, vectors={"size": 8, "distance": "Cosine"})
    with pytest.raises(RuntimeError, match=r"vector_size: .*; shard_number: .*"):
        up(cluster)


def test_a_misfit_that_somebody_else_made_meanwhile_is_refused_too(cluster: FakeCluster) -> None:
    cluster.creating = RACED
    cluster.made_by_others = {"shard_number": 6}
    with pytest.raises(RuntimeError, match="shard_number: expected 2, found 6"):
        up(cluster)


@pytest.mark.parametrize("others", [{ALIAS: "theirs"}, {}])
def test_an_alias_that_is_not_ours_is_not_taken(cluster: FakeCluster, others: dict[str, str]) -> None:
    cluster.add("theirs" if others else ALIAS)
    cluster.aliases = dict(others)
    with pytest.raises(RuntimeError, match=f"expected the alias {ALIAS} to be free.*nothing was changed"):
        up(cluster)
    assert cluster.aliases == others


def test_a_collection_made_while_peers_were_missing_gets_its_copies(cluster: FakeCluster) -> None:
    cluster.replicas_made = 1
    assert up(cluster)["physical_replication_factor"] == 2


def test_an_adopted_collection_is_repaired(cluster: FakeCluster) -> None:
    cluster.add(physical=1)
    observed = up(cluster)
    assert (observed["adopted"], observed["physical_replication_factor"]) == (True, 2)


def test_copies_that_nobody_declared_are_dropped(cluster: FakeCluster) -> None:
    cluster.add(physical=3)
    assert up(cluster)["physical_replication_factor"] == 2


def test_replicas_that_become_active_in_time_are_waited_for(cluster: FakeCluster) -> None:
    cluster.first_state, cluster.looks_until_active = "Initializing", 7
    assert up(cluster)["physical_replication_factor"] == 2


def test_a_node_that_is_silent_for_a_while_is_passed_over_and_waited_for(cluster: FakeCluster) -> None:
    cluster.looks_down = {0: 3}
    assert up(cluster)["physical_replication_factor"] == 2
    assert cluster.looks_down == {0: 0}


def test_a_node_that_stays_silent_is_named(cluster: FakeCluster) -> None:
    cluster.down = {0}
    with pytest.raises(RuntimeError, match=cluster.urls[0]):
        up(cluster)
    assert NAME in cluster.collections, "the others made it: the next run adopts it"


def test_a_node_that_does_not_know_the_collection_does_not_hide_it(cluster: FakeCluster) -> None:
    cluster.add()
    cluster.aliases = {ALIAS: NAME}
    cluster.ignorant = {1}
    with pytest.raises(RuntimeError, match=f"{cluster.urls[1]} does not know the collection"):
        up(cluster)
    assert cluster.changes == []


def test_what_is_observed_is_the_worst_shard_and_not_the_parameters(cluster: FakeCluster) -> None:
    cluster.add()
    cluster.collections[NAME].replicas[1] = {12: "Active", 13: "Dead"}
    cluster.down = {0}
    observed = lifecycle(cluster).observe()
    assert observed is not None
    assert (observed["replication_factor"], observed["physical_replication_factor"]) == (2, 1)


def test_a_cluster_that_does_not_answer_is_told_from_a_collection_that_is_gone(cluster: FakeCluster) -> None:
    assert lifecycle(cluster).observe() is None
    cluster.down = {0, 1, 2}
    with pytest.raises(NodeUnreachable):
        lifecycle(cluster).observe()


IN_PLACE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"write_consistency_factor": 2}, {"params": {"write_consistency_factor": 2}}),
    ({"hnsw": {"m": 32}}, {"hnsw_config": {"m": 32}}),
    ({"optimizers": {"indexing_threshold": 5}}, {"optimizers_config": {"indexing_threshold": 5}}),
    ({"strict_mode": {"enabled": True}}, {"strict_mode_config": {"enabled": True}}),
    ({"vectors_on_disk": True}, {"vectors": {"": {"on_disk": True}}}),
    (
        {"quantization": {"scalar": {"type": "int8"}}},
        {"quantization_config": {"scalar": {"type": "int8"}}},
    ),
]


@pytest.mark.parametrize(("change", "body"), IN_PLACE)
def test_what_can_be_changed_in_place_is_changed_once_and_seen(
    cluster: FakeCluster, change: dict[str, Any], body: dict[str, Any]
) -> None:
    up(cluster)
    cluster.changes.clear()
    observed = up(cluster, **change)
    assert cluster.changes == [("PATCH", f"/collections/{NAME}", body)]
    assert {key: observed[key] for key in change} == change
    up(cluster, **change)
    assert len(cluster.changes) == 1


def test_what_is_not_named_any_more_is_left_as_it_is(cluster: FakeCluster) -> None:
    up(cluster, hnsw={"m": 32, "ef_construct": 200})
    up(cluster, hnsw={"ef_construct": 200})
    assert cluster.collections[NAME].config["hnsw_config"] == {"m": 32, "ef_construct": 200}


def test_quantization_that_is_given_up_is_switched_off(cluster: FakeCluster) -> None:
    up(cluster, quantization={"binary": {}})
    cluster.changes.clear()
    assert up(cluster)["quantization"] == {}
    assert cluster.changes == [("PATCH", f"/collections/{NAME}", {"quantization_config": "Disabled"})]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2), (3, 1)])
def test_another_factor_is_what_stands_on_the_peers_afterwards(cluster: FakeCluster, before: int, after: int) -> None:
    up(cluster, replication_factor=before)
    observed = up(cluster, replication_factor=after)
    assert (observed["replication_factor"], observed["physical_replication_factor"]) == (after, after)


def test_indexes_are_made_changed_and_given_up(cluster: FakeCluster) -> None:
    up(cluster, payload_indexes={"source": "keyword", "year": "keyword"})
    cluster.changes.clear()
    observed = up(cluster, payload_indexes={"year": "integer"}, forget=frozenset({"source"}))
    assert observed["payload_indexes"] == {"year": "integer"}
    assert asked(cluster) == [("DELETE", "/index/source"), ("DELETE", "/index/year"), ("PUT", "/index")]


def test_an_index_that_somebody_else_made_is_let_be(cluster: FakeCluster) -> None:
    up(cluster)
    cluster.collections[NAME].indexes["theirs"] = "keyword"
    up(cluster)
    assert cluster.collections[NAME].indexes == {"theirs": "keyword"}


def test_an_index_with_settings_is_compared_by_them(cluster: FakeCluster) -> None:
    text = {"type": "text", "tokenizer": "word"}
    assert up(cluster, payload_indexes={"text": text})["payload_indexes"] == {"text": text}
    cluster.collections[NAME].indexes["text"]["tokenizer"] = "prefix"
    observed = lifecycle(cluster, payload_indexes={"text": text}).observe()
    assert observed is not None
    assert observed["payload_indexes"] != {"text": text}


def test_drift_is_seen_of_everything_declared(cluster: FakeCluster) -> None:
    wish: dict[str, Any] = {"hnsw": {"m": 32}, "payload_indexes": {"source": "keyword"}}
    up(cluster, **wish)
    found = cluster.collections[NAME]
    found.config["hnsw_config"]["m"], found.params["write_consistency_factor"] = 8, 2
    found.indexes.clear()
    cluster.aliases.clear()
    del found.replicas[0][11]
    observed = lifecycle(cluster, **wish).observe()
    assert observed is not None
    drifted = {key for key in observed if key in declared(cluster) and observed[key] != (declared(cluster) | wish)[key]}
    assert drifted == {"hnsw", "payload_indexes", "write_consistency_factor", "alias"}
    assert observed["physical_replication_factor"] == 1
    up(cluster, **wish)
    assert lifecycle(cluster, **wish).observe() == observed | wish | {
        "write_consistency_factor": 1,
        "alias": ALIAS,
        "physical_replication_factor": 2,
    }


def test_a_collection_is_dropped_and_one_that_is_gone_is_no_error(cluster: FakeCluster) -> None:
    up(cluster)
    cluster.add("of-somebody-else")
    cluster.changes.clear()
    cluster.down = {0}
    lifecycle(cluster).drop()
    lifecycle(cluster).drop()
    assert list(cluster.collections) == ["of-somebody-else"]
    assert [method for method, _, _ in cluster.changes] == ["DELETE"]
