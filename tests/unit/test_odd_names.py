"""Whatever a collection is called, a call reaches that collection, and no name keeps a cluster from settling."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from access.url_path import segment
from ops.ingest import IngestClient
from ops.orphans import remove_orphan_entities
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import beyond_waiting, observe_nodes, unsettled
from qdrant_admin.collection.reindexing import ReindexClient
from qdrant_admin.points.client import NodePoints
from qdrant_admin.settling import wait_until_settled
from qdrant_admin.snapshots import SnapshotApi
from tests.unit.fake_qdrant import KEY, Collection, FakeCluster, running_cluster
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, served

ODD = [
    "c#docs",
    "a b",
    "a/b",
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2e",
    "a?b=c",
    "a%b",
    "a;b",
    "a+b",
    "a&b",
    "größe",
    "文档",
    "a\\b",
]


@pytest.fixture
def asked() -> list[Asked]:
    return []


@pytest.fixture
def url(asked: list[Asked]) -> Iterator[str]:
    """A server that notes what it is asked, and agrees."""

    def answer(request: Asked) -> Answer:
        asked.append(request)
        result = {"points": [], "next_page_offset": None, "count": 0, "aliases": [], "collections": []}
        return Answer(200, {"result": result, "status": "ok", "vector_size": 4})

    with served(answer) as url:
        yield url


def path_segments(request: Asked) -> list[str]:
    """As a server takes a path apart: first cut, then decoded."""
    return [unquote(each) for each in request.path.split("/")[1:]]


@pytest.mark.parametrize("name", ODD)
def test_every_call_of_a_collection_names_that_collection_and_no_other(
    name: str, url: str, asked: list[Asked], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    api, snapshots = QdrantApi(url, KEY), SnapshotApi(url, KEY)
    api.collection(name)
    api.collection_cluster(name)
    api.create_collection(name, {}, 1)
    api.update_collection(name, {}, 1)
    api.delete_collection(name, 1)
    api.create_index(name, "field", "keyword", 1)
    api.delete_index(name, "field", 1)
    api.replicate_shard(name, 0, 1, 2)
    api.drop_replica(name, 0, 1)
    points = NodePoints(url, KEY).points(name)
    points.count()
    points.upsert([])
    points.delete([1])
    snapshots.create_shard_snapshot(name, 0)
    snapshots.create_collection_snapshot(name)
    snapshots.download(name, 0, "s", tmp_path / "copy", lambda _: None)
    snapshots.upload(name, 0, tmp_path / "file", "0" * 64, lambda _: None)
    snapshots.delete_shard_snapshot(name, 0, "s")
    assert len(asked) == 17
    assert {tuple(path_segments(request)[:2]) for request in asked} == {("collections", name)}


@pytest.mark.parametrize("name", ODD)
def test_every_other_name_in_a_path_is_one_segment_too(name: str, url: str, asked: list[Asked]) -> None:
    QdrantApi(url, KEY).delete_index("docs", name, 1)
    SnapshotApi(url, KEY).delete_shard_snapshot("docs", 0, name)
    assert [path_segments(request)[-1] for request in asked] == [name, name]
    if name.strip("."):  # the roles' names are ours: none is made of dots
        ReindexClient(url, "token", name).vector_size()
        assert path_segments(asked[-1]) == ["embedders", name]


def test_a_name_that_is_not_escaped_would_reach_another_collection(url: str, asked: list[Asked]) -> None:
    QdrantApi(url, KEY).call("DELETE", "/collections/c#docs")
    assert asked[0].path == "/collections/c"
    assert segment("c#docs") == "c%23docs"


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running_cluster() as cluster:
        cluster.add()
        yield cluster


def settle(cluster: FakeCluster) -> list[str]:
    """What the gate of the last node reports when it opens."""
    reported: list[str] = []
    with served(lambda _: Answer(200, "# pxname,svname,scur,status\n")) as balancer:
        gate: dict[str, Any] = {"ordinal": 2, "node_urls": cluster.urls, "api_key": KEY, "timeout_seconds": 0}
        gate["balancer"] = {"url": balancer, "user": "operator", "password": "secret", "prefix": "qdrant-"}
        wait_until_settled(gate, first_start=False, on_progress=reported.append, clock=FakeTime().clock)
    return reported


@pytest.mark.parametrize("name", ODD)
def test_a_cluster_with_a_collection_of_an_odd_name_settles(name: str, cluster: FakeCluster) -> None:
    cluster.add(name)
    assert settle(cluster) == []


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_collection_that_no_node_can_show_is_reported_and_not_waited_for(cluster: FakeCluster, status: int) -> None:
    cluster.add("theirs")
    cluster.broken = {("theirs", node): status for node in range(3)}
    [reported] = settle(cluster)
    assert f"collection 'theirs': every node answers HTTP {status}" in reported


def test_a_collection_that_one_node_alone_cannot_show_is_waited_for(cluster: FakeCluster) -> None:
    cluster.add("theirs")
    cluster.broken = {("theirs", 1): 404}
    with pytest.raises(TimeoutError, match=f"theirs: {cluster.urls[1]} answers HTTP 404"):
        settle(cluster)


def test_a_shard_whose_replicas_are_all_dead_is_reported_and_not_waited_for(cluster: FakeCluster) -> None:
    cluster.collections["theirs"] = Collection(params={}, replicas={0: {11: "Dead"}, 1: {12: "Active"}})
    assert settle(cluster)[0].startswith("collection 'theirs': every replica of shard 0 is Dead")


@pytest.mark.parametrize("states", [{11: "Active", 12: "Dead"}, {11: "Initializing"}, {11: "Dead", 12: "Partial"}])
def test_a_replica_of_any_collection_that_may_still_become_active_is_waited_for(
    cluster: FakeCluster, states: dict[int, str]
) -> None:
    cluster.collections["theirs"] = Collection(params={}, replicas={0: states})
    views = observe_nodes([QdrantApi(url, KEY) for url in cluster.urls])
    assert beyond_waiting(views) == []
    assert any(reason.startswith("theirs: shard 0 is") for reason in unsettled(views))


def test_an_entity_of_the_gateway_is_removed_by_its_own_id() -> None:
    asked: list[Asked] = []

    def answer(request: Asked) -> Answer:
        asked.append(request)
        return Answer(200, {"data": [{"id": "r/../x", "name": "r"}] if request.path == "/routes" else []})

    with served(answer) as url:
        remove_orphan_entities(url, [])
    assert [request.path for request in asked if request.method == "DELETE"] == ["/routes/r%2F..%2Fx"]


def test_a_job_of_the_ingest_role_is_asked_for_by_its_own_name() -> None:
    paths: list[str] = []

    def answer(request: Asked) -> Answer:
        paths.append(request.path)
        return Answer(200, {"job": "a/b", "state": "done"})

    with served(answer) as url:
        IngestClient(url, "token", FakeTime().clock).index([])
    assert paths == ["/reindex", "/reindex/a%2Fb"]
