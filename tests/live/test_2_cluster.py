"""What readers and writers notice of a dead node and of a rolling change: nothing."""

import time

import pytest

from ops.stack import open_stack, resources
from tests.live.clients import Clients, wait_until_settled
from tests.live.conftest import PREFIX, LiveStack

pytestmark = pytest.mark.live


def test_every_shard_stands_on_two_peers(stack: LiveStack) -> None:
    [collection] = [r for r in resources(open_stack(stack.files)) if r["type"].endswith("ReplicatedCollection")]
    assert collection["outputs"]["physical_replication_factor"] == 2


def test_a_second_up_changes_nothing(stack: LiveStack) -> None:
    progress, _ = stack.up()
    assert progress.changes == []


def test_a_killed_node_loses_no_read_and_no_acknowledged_point(stack: LiveStack) -> None:
    node = stack.container("qdrant-1")
    with Clients(stack) as clients:
        clients.settle_in()
        node.kill()
        killed = time.monotonic()
        time.sleep(8)  # how long the node stays away is the fault itself, not a wait for something
        back = time.monotonic()
        node.start()
        wait_until_settled(stack)
    assert clients.failed_reads == []
    assert any(killed < call.due < back for call in clients.reads)
    assert any(killed < call.due < back and call.answered for call in clients.writes)
    assert clients.lost() == set()


def test_a_changed_setting_rolls_one_node_at_a_time_and_nobody_notices(stack: LiveStack) -> None:
    with Clients(stack) as clients:
        clients.settle_in()
        progress, _ = stack.up(qdrantLogLevel="WARN")
    rolled = [name for operation, name in progress.changes if name.startswith("qdrant-") and operation != "update"]
    assert rolled == [name for node in range(3) for name in [f"qdrant-{node}"] * 2]  # each: the old stopped, a new made
    assert clients.failed_reads == []
    wait_until_settled(stack)
    assert clients.lost() == set()


def test_what_was_stopped_or_removed_by_hand_comes_back(stack: LiveStack) -> None:
    stack.container("kong-0").remove(force=True)
    stack.container("qdrant-2").kill()
    progress, _ = stack.up()
    assert {name for _, name in progress.changes} == {"kong-0"}
    assert stack.container("kong-0").status == "running"
    wait_until_settled(stack)


def test_down_keeps_the_data_and_up_finds_it_again(stack: LiveStack) -> None:
    with Clients(stack) as clients:
        clients.settle_in()
    kept = stack.down(purge=False)
    assert {"qdrant-0", "qdrant-1", "qdrant-2"} <= set(kept)
    assert stack.engine.containers.list(filters={"label": f"rag-platform={PREFIX}"}) == []
    stack.up()
    assert clients.lost() == set()
