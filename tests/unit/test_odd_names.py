"""Names that are legal in Qdrant and special in a URL: each call asks for exactly that name, and no other."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from cli import daytwo
from ops.daytwo.verify import Verdict
from ops.ingest import IngestClient
from qdrant_admin.api import QdrantApi, QdrantError, path
from qdrant_admin.cluster_view import beyond_waiting, observe_nodes, unsettled
from qdrant_admin.points.client import NodePoints
from qdrant_admin.settling import wait_until_settled
from qdrant_admin.snapshots import SnapshotApi
from tests.unit.fake_qdrant import KEY, Collection, FakeCluster, running_cluster
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, served

ODD = ["c#docs", "a b", "a/b", "a?b=c", "%2e%2e", "a%23b", "naïve", "a&b", "100%", "c;d", "a\\b", "…"]
CALLS: dict[str, Callable[[str, str], Any]] = {
    "look": lambda url, name: QdrantApi(url, "k").collection(name),
    "cluster": lambda url, name: QdrantApi(url, "k").collection_cluster(name),
    "create": lambda url, name: QdrantApi(url, "k").create_collection(name, {}, 1),
    "delete": lambda url, name: QdrantApi(url, "k").delete_collection(name, 1),
    "index": lambda url, name: QdrantApi(url, "k").delete_index(name, name, 1),
    "move": lambda url, name: QdrantApi(url, "k").drop_replica(name, 0, 1),
    "count": lambda url, name: NodePoints(url, "k").points(name).count(),
    "snapshot": lambda url, name: SnapshotApi(url, "k").create_shard_snapshot(name, 0),
    "forget": lambda url, name: SnapshotApi(url, "k").delete_shard_snapshot(name, 0, name),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_asks_for_the_name_as_it_is(call: str, name: str) -> None:
    asked: list[str] = []

    def answer(request: Asked) -> Answer:
        asked.append(request.path)
        return Answer(200, {"result": {"count": 0}})

    with served(answer) as url:
        CALLS[call](url, name)
    segments = [unquote(segment) for segment in asked[0].split("/")]
    assert segments[1:3] == ["collections", name]
    assert call not in ("index", "forget") or segments[-1] == name


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_no_url_can_carry_is_refused_and_nothing_is_asked(name: str) -> None:
    with pytest.raises(QdrantError, match="expected a name that a URL can carry"):
        path("collections", name)


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


@pytest.mark.parametrize("name", [".", ".."])
def test_a_cluster_with_a_collection_that_no_url_can_name_settles(name: str, cluster: FakeCluster) -> None:
    cluster.add(name)
    assert f"collection {name!r}: every node answers HTTP 400" in settle(cluster)[0]


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


def test_a_job_of_the_ingest_role_is_asked_for_by_its_own_name() -> None:
    paths: list[str] = []

    def answer(request: Asked) -> Answer:
        paths.append(request.path)
        return Answer(200, {"job": "a/b", "state": "done"})

    with served(answer) as url:
        IngestClient(url, "token", FakeTime().clock).index([])
    assert paths == ["/reindex", "/reindex/a%2Fb"]


def test_a_name_that_reads_as_markup_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.daytwo.verifying.verify", lambda *_: Verdict(examined="3 copies", findings=[]))
    running: Any = None
    assert daytwo._verified(running, "[/b]", None)
    assert "[/b]: 3 copies, nothing is missing" in capsys.readouterr().out
