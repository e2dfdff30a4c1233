"""What readers and writers notice of a dead node and of a rolling change: nothing."""

import time

import pytest

from ops.stack import open_stack, resources
from providers.cluster_view import look, unsettled
from providers.qdrant_api import QdrantApi
from tests.live.conftest import PREFIX, LiveStack
from tests.live.traffic import Traffic, missing

pytestmark = pytest.mark.live


def traffic(stack: LiveStack) -> Traffic:
    first_id = time.time_ns() // 1000
    return Traffic(
        stack.outputs["qdrantUrl"], stack.outputs["qdrantApiKey"], stack.outputs["collection"], first_id=first_id
    )


def lost(stack: LiveStack, acknowledged: list[int]) -> dict[str, list[int]]:
    assert acknowledged, "no write was acknowledged: nothing can have been lost, and nothing was tried"
    found = stack.outputs
    return missing(found["qdrantNodeUrls"], found["qdrantApiKey"], found["collection"], acknowledged)


def wait_until_settled(stack: LiveStack, seconds: float = 120) -> None:
    nodes = [QdrantApi(url, stack.outputs["qdrantApiKey"]) for url in stack.outputs["qdrantNodeUrls"]]
    deadline = time.monotonic() + seconds
    while reasons := unsettled(look(nodes)):
        assert time.monotonic() < deadline, reasons
        time.sleep(0.5)


def test_every_shard_stands_on_two_peers(stack: LiveStack) -> None:
    [collection] = [r for r in resources(open_stack(stack.files)) if r["type"].endswith("ReplicatedCollection")]
    assert collection["outputs"]["physical_replication_factor"] == 2


def test_a_second_up_changes_nothing(stack: LiveStack) -> None:
    progress, _ = stack.up()
    assert progress.changes == []


def test_a_killed_node_loses_no_read_and_no_acknowledged_point(stack: LiveStack) -> None:
    node = stack.container("qdrant-1")
    with traffic(stack) as running:
        running.settle_in()
        node.kill()
        killed = time.monotonic()
        time.sleep(8)  # how long the node stays away is the fault itself, not a wait for something
        back = time.monotonic()
        node.start()
        wait_until_settled(stack)
    assert running.record.failed_reads() == []
    assert any(killed < call.began < back for call in running.record.reads)
    assert any(killed < call.began < back and call.answered for call in running.record.writes)
    assert lost(stack, running.record.acknowledged) == {}


def test_a_changed_setting_rolls_one_node_at_a_time_and_nobody_notices(stack: LiveStack) -> None:
    with traffic(stack) as running:
        running.settle_in()
        progress, _ = stack.up(qdrantLogLevel="WARN")
    rolled = [name for operation, name in progress.changes if name.startswith("qdrant-") and operation != "update"]
    assert rolled == [name for node in range(3) for name in [f"qdrant-{node}"] * 2]  # each: the old stopped, a new made
    assert running.record.failed_reads() == []
    wait_until_settled(stack)
    assert lost(stack, running.record.acknowledged) == {}


def test_what_was_stopped_or_removed_by_hand_comes_back(stack: LiveStack) -> None:
    stack.container("kong-0").remove(force=True)
    stack.container("qdrant-2").kill()
    progress, _ = stack.up()
    assert {name for _, name in progress.changes} == {"kong-0"}
    assert stack.container("kong-0").status == "running"
    wait_until_settled(stack)


def test_down_keeps_the_data_and_up_finds_it_again(stack: LiveStack) -> None:
    with traffic(stack) as running:
        running.settle_in(100)
    kept = stack.down(purge=False)
    assert {"qdrant-0", "qdrant-1", "qdrant-2"} <= set(kept)
    assert stack.engine.containers.list(filters={"label": f"rag-platform={PREFIX}"}) == []
    stack.up()
    assert lost(stack, running.record.acknowledged) == {}
