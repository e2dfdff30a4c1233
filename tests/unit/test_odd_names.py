"""Names that are legal in Qdrant and special in a URL: each call asks for exactly that name, and no other."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from qdrant_admin.api import QdrantApi, QdrantError, path
from qdrant_admin.cluster_view import observe_nodes
from qdrant_admin.points.client import NodePoints
from qdrant_admin.snapshots import SnapshotApi
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


def test_a_collection_that_cannot_be_looked_at_hides_no_node() -> None:
    """Its name is odd, or it went between the list and the look."""

    def answer(request: Asked) -> Answer:
        if request.path == "/collections":
            return Answer(200, {"result": {"collections": [{"name": name} for name in ("..", "gone", "here")]}})
        if request.path == "/collections/gone/cluster":
            return Answer(404, {"status": {"error": "not found"}})
        return Answer(200, {"result": {"asked": request.path}})

    with served(answer) as url:
        [view] = observe_nodes([QdrantApi(url, "k")])
    assert view.cluster == {"asked": "/cluster"}
    assert set(view.collections) == {"here"}


def test_a_collection_that_a_node_cannot_show_is_named() -> None:
    def answer(request: Asked) -> Answer:
        if request.path == "/collections":
            return Answer(200, {"result": {"collections": [{"name": "c#docs"}]}})
        return Answer(500, {"status": {"error": "broken"}})

    with served(answer) as url:
        [view] = observe_nodes([QdrantApi(url, "k")])
    assert view.cluster is None
    assert "c#docs" in view.failure
