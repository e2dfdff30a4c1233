"""Collections of one's own: named vectors, dense and sparse, compared by every property; mistakes by their keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qdrant_admin.collection.generations import successor
from qdrant_admin.collection.settings import CollectionEntry
from settings import Settings
from tests.unit.declaring import lifecycle
from tests.unit.fake_qdrant import ALIAS, NAME, FakeCluster, running_cluster
from tests.unit.test_settings import mistakes

DEV = Path("Pulumi.dev.yaml")
TEXT = {"size": 4, "distance": "Cosine", "onDisk": True, "datatype": "float16", "hnsw": {"m": 8}}
PAGE = {"size": 2, "distance": "Dot", "multivector": "max_sim"}
ENTRY: dict[str, Any] = {
    "name": NAME,
    "alias": ALIAS,
    "vectors": {"text": TEXT, "page": PAGE},
    "sparseVectors": {"words": {"modifier": "idf"}},
    "shardNumber": 2,
    "onDiskPayload": True,
    "payloadIndexes": {"tenant": {"type": "keyword", "is_tenant": True}},
}
REQUESTED: dict[str, Any] = {
    "vectors": {
        "text": {
            "size": 4,
            "distance": "Cosine",
            "on_disk": True,
            "datatype": "float16",
            "hnsw_config": {"m": 8},
        },
        "page": {"size": 2, "distance": "Dot", "on_disk": False, "multivector_config": {"comparator": "max_sim"}},
    },
    "sparse_vectors": {"words": {"modifier": "idf", "index": {"on_disk": False}}},
    "on_disk_payload": True,
    "shard_number": 2,
    "replication_factor": 2,
    "write_consistency_factor": 1,
}


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running_cluster() as cluster:
        yield cluster


def up(cluster: FakeCluster, **changes: Any) -> dict[str, Any]:
    props = CollectionEntry.model_validate(ENTRY | changes).declared()
    absent: dict[str, Any] = {"vector_size": None, "distance": None, "hnsw": {}, "payload_indexes": {}}
    return lifecycle(cluster, **absent | props).reconcile()


def test_named_vectors_are_made_as_declared_once_and_adopted_ever_after(cluster: FakeCluster) -> None:
    up(cluster)
    method, path, body = cluster.changes[0]
    assert (method, path, body) == ("PUT", f"/collections/{NAME}", REQUESTED)
    made = len(cluster.changes)
    observed = up(cluster)
    assert (observed["adopted"], observed["vectors"]) == (True, REQUESTED["vectors"])
    assert len(cluster.changes) == made, "nothing differs, and nothing is asked for"
    assert cluster.collections[NAME].indexes == ENTRY["payloadIndexes"]


def found(where: str, value: Any) -> dict[str, Any]:
    """The parameters of the declared collection, with one otherwise; None: left out."""
    params: dict[str, Any] = {
        "vectors": {name: dict(each) for name, each in REQUESTED["vectors"].items()},
        "sparse_vectors": {"words": {"modifier": "idf"}},
        "shard_number": 2,
        "replication_factor": 2,
    }
    *way, last = where.split("/")
    inner = params
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return params


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("vectors/text/size", 8, r"vectors\.text\.size: expected 4, found 8"),
        ("vectors/text/distance", "Euclid", r"vectors\.text\.distance: expected Cosine, found Euclid"),
        ("vectors/text/datatype", "uint8", r"vectors\.text\.datatype: expected float16, found uint8"),
        ("vectors/page/multivector_config", None, r"vectors\.page\.multivector: expected max_sim, found none"),
        ("vectors/page", None, "vectors: expected named page, text, found named text"),
        ("vectors/more", {"size": 2, "distance": "Dot"}, "vectors: expected named page, text, found named more, page"),
        ("vectors", {"size": 4, "distance": "Cosine"}, "vectors: expected named page, text, found one unnamed"),
        ("sparse_vectors/words/modifier", None, r"sparse_vectors\.words\.modifier: expected idf, found none"),
        ("sparse_vectors/words", None, "sparse_vectors: expected words, found none"),
        ("sharding_method", "custom", "sharding_method: expected auto, found custom"),
        ("shard_number", 3, "shard_number: expected 2, found 3"),
    ],
)
def test_a_collection_that_differs_in_anything_that_stays_is_not_adopted(
    cluster: FakeCluster, where: str, value: Any, says: str
) -> None:
    cluster.add(**found(where, value))
    with pytest.raises(RuntimeError, match=says) as refused:
        up(cluster)
    assert "nothing was changed" in str(refused.value)
    assert cluster.changes == []


def test_what_may_change_in_place_does_each_by_its_name(cluster: FakeCluster) -> None:
    up(cluster)
    cluster.changes.clear()
    changed = {"text": TEXT | {"onDisk": False, "hnsw": {"m": 16}}, "page": PAGE}
    up(cluster, vectors=changed, onDiskPayload=False)
    [(method, path, body)] = cluster.changes
    assert (method, path) == ("PATCH", f"/collections/{NAME}")
    assert body["vectors"]["text"] == {"on_disk": False, "hnsw_config": {"m": 16}}
    assert body["params"] == {"on_disk_payload": False}
    cluster.changes.clear()
    up(cluster, vectors=changed, onDiskPayload=False)
    assert cluster.changes == []


def test_another_kind_of_vector_is_refused_before_anything_is_made(cluster: FakeCluster) -> None:
    up(cluster)
    cluster.changes.clear()
    with pytest.raises(RuntimeError, match=r"declare another one, fill it with your writer.*nothing was changed"):
        up(cluster, vectors={"text": TEXT | {"size": 8}, "page": PAGE})
    assert cluster.changes == []


def test_the_name_of_a_successor_follows_from_all_that_stays(cluster: FakeCluster) -> None:
    def name(**changes: Any) -> str:
        return successor(lifecycle(cluster, **changes).spec)

    plain = {"vectors": None, "sparse_vectors": None}
    assert name() == name(**plain) == f"{NAME}-9ed27e52", "of a collection that an earlier release replaced"
    words = {"words": {"modifier": "idf"}}
    assert len({name(), name(sparse_vectors=words), name(sparse_vectors={"words": {}})}) == 3


def test_a_vector_may_be_called_size() -> None:
    entry = CollectionEntry.model_validate({"name": "a", "alias": "b", "vectors": {"size": {"size": 4}}})
    assert entry.declared()["vectors"]["size"]["size"] == 4


GOOD: dict[str, Any] = {"alias": "notes", "vectorSize": 4}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"alias": "notes"}, "collections.n: expected vectorSize, or named vectors (vectors, sparseVectors), found ne"),
    (GOOD | {"vectors": {"a": {"size": 4}}}, "found both; keep one"),
    ({"vectorSize": 4}, "collections.n.alias"),
    (GOOD | {"alias": "n"}, "expected an alias other than the collection's name"),
    (GOOD | {"replicationFactor": 5}, "collections.n.replicationFactor: expected at most qdrantNodes (3), found 5"),
    (GOOD | {"writeConsistencyFactor": 3}, "expected a write consistency factor of at most"),
    (GOOD | {"payloadIndexes": {"a": "words"}}, "a: expected one of keyword"),
    (GOOD | {"payloadIndexes": {"a": {"type": "integer", "is_tenant": True}}}, "a: expected is_tenant beside keyword"),
    (GOOD | {"sparseVectors": {"w": {"modifier": "bm25"}}}, "collections.n.sparseVectors.w.modifier"),
    (GOOD | {"distance": "cosine"}, "collections.n.distance"),
    (GOOD | {"shards": 3}, "collections.n.shards"),
    (GOOD | {"alias": "docs_index"}, "collections.n.alias: expected a name of its own, found docs_index"),
]


@pytest.mark.parametrize(("entry", "says"), BAD, ids=[says[:50] for _, says in BAD])
def test_a_collection_that_could_not_be_made_is_refused_by_its_key(entry: dict[str, Any], says: str) -> None:
    assert says in mistakes(collections={"n": entry})


def test_names_that_another_collection_would_take_for_its_own_are_refused() -> None:
    two = {"docs": GOOD, "docs-0123abcd": GOOD | {"alias": "other"}}
    for order in (two, dict(reversed(two.items()))):
        assert "collections.docs-0123abcd: expected a name of its own" in mistakes(collections=order)
    assert "alias: expected a name of its own, found notes" in mistakes(collections={"a": GOOD, "b": GOOD})
    assert "which marks a change" in mistakes(collections={"a": GOOD | {"alias": "x--before"}})
    assert Settings.from_file(DEV, {"collections": {"a": GOOD, "b": GOOD | {"alias": "others"}}})
