"""Two collections of one's own, of other vectors and factors, through a node's death; and one that nobody declared."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from access.polling import poll, require
from ops.daytwo.running import Running
from ops.daytwo.verify import verify
from ops.status import cluster_list
from qdrant_admin.api import path
from tests.live.clients import wait_until_settled
from tests.live.conftest import LiveStack

pytestmark = pytest.mark.live
COLLECTIONS: dict[str, Any] = {
    "pictures": {
        "alias": "pics",
        "vectors": {"image": {"size": 4, "distance": "Dot", "onDisk": True}, "thumb": {"size": 2}},
        "replicationFactor": 3,
        "shardNumber": 3,
        "payloadIndexes": {"tenant": {"type": "keyword", "is_tenant": True}},
    },
    "chat": {"alias": "chat_index", "vectorSize": 3},
}
FOREIGN = "c#docs ä"
POINTS = 60


@pytest.fixture(scope="module")
def declared(stack: LiveStack) -> Iterator[LiveStack]:
    stack.up(collections=COLLECTIONS)
    call(
        stack, "PUT", path("collections", FOREIGN), {"vectors": {"size": 2, "distance": "Dot"}, "replication_factor": 2}
    )
    yield stack
    call(stack, "DELETE", path("collections", FOREIGN))
    stack.up(collections={})


def call(stack: LiveStack, method: str, where: str, body: Any = None) -> Any:
    """Through the balancer, as a client; the result."""
    headers = {"api-key": stack.outputs["qdrantApiKey"]}
    answer = requests.request(method, stack.outputs["qdrantUrl"] + where, json=body, headers=headers, timeout=30)
    assert answer.ok, answer.text
    return answer.json()["result"]


def fill(stack: LiveStack) -> None:
    pictures = [
        {"id": n, "vector": {"image": [n, 1, 0, 0], "thumb": [1, n]}, "payload": {"tenant": f"t{n % 3}"}}
        for n in range(POINTS)
    ]
    chat = [{"id": n, "vector": [n, 1, 2]} for n in range(POINTS)]
    for alias, points in (("pics", pictures), ("chat_index", chat)):
        call(stack, "PUT", f"/collections/{alias}/points?wait=true", {"points": points})


def counts(stack: LiveStack) -> dict[str, int]:
    """How many points of each are found, by searches for more than there are."""
    searches: dict[str, dict[str, Any]] = {
        "pics": {"query": [1, 0, 0, 0], "using": "image"},
        "chat_index": {"query": [1, 0, 0]},
    }
    return {
        alias: len(call(stack, "POST", f"/collections/{alias}/points/query", body | {"limit": 2 * POINTS})["points"])
        for alias, body in searches.items()
    }


def test_both_serve_every_point_while_a_node_is_dead(declared: LiveStack) -> None:
    fill(declared)
    whole = {"pics": POINTS, "chat_index": POINTS}
    assert counts(declared) == whole
    node = declared.container("qdrant-1")
    node.kill()
    try:
        for _ in range(10):
            assert counts(declared) == whole
        nearest = {"query": [1, 0, 0, 0], "using": "image", "limit": 3}
        found = call(declared, "POST", "/collections/pics/points/query", nearest)["points"]
        assert [point["id"] for point in found] == [POINTS - 1, POINTS - 2, POINTS - 3]
    finally:
        node.start()
    wait_until_settled(declared)


def test_what_runs_is_shown_with_whose_it_is_and_every_copy_can_be_verified(declared: LiveStack) -> None:
    wait_until_settled(declared)
    shown = " ".join(" ".join(cluster_list(declared.outputs)[0]).split())
    assert "collection pics: 3 Active replicas of every shard" in shown
    assert "collection chat_index: 2 Active replicas" in shown
    assert f"collection {FOREIGN!r}, which the stack does not declare: 2 Active" in shown
    running = Running.of(declared.outputs)
    for name in sorted(running.living()[0].collections()):
        assert verify(running, name, None, declared.console).findings == [], name


def test_a_factor_is_raised_and_a_lost_copy_made_again(declared: LiveStack) -> None:
    more = COLLECTIONS | {"chat": COLLECTIONS["chat"] | {"replicationFactor": 3}}
    declared.up(collections=more)

    def three_copies() -> None:
        shown = " ".join(" ".join(cluster_list(declared.outputs)[0]).split())
        require("collection chat_index: 3 Active replicas" in shown, shown[-300:])

    poll(three_copies, 30, expected="three copies")
    assert counts(declared) == {"pics": POINTS, "chat_index": POINTS}
