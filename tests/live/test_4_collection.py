"""A collection through its life: what was changed by hand is mended, and no change is noticed by its readers."""

from collections.abc import Callable
from typing import Any

import pytest

from ops import deployment
from ops.stack import open_stack, resources
from providers.wire import with_integers
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.cluster_view import replicas
from qdrant_admin.collection.lifecycle import Lifecycle
from qdrant_admin.collection.spec import CollectionSpec
from qdrant_admin.nodes import Nodes
from tests.live.clients import Clients, wait_until_settled
from tests.live.conftest import LiveStack

pytestmark = pytest.mark.live


def nodes(stack: LiveStack) -> Nodes:
    return Nodes.at(stack.outputs["qdrantNodeUrls"], stack.outputs["qdrantApiKey"])


def ask(stack: LiveStack, question: Callable[[QdrantApi], Any]) -> Any:
    return nodes(stack).first(question)


def name(stack: LiveStack) -> str:
    return str(stack.outputs["physicalCollection"])


def state(stack: LiveStack) -> dict[str, Any]:
    [found] = [r for r in resources(open_stack(stack.files)) if r["type"].endswith("ReplicatedCollection")]
    return dict(found)


def copies(stack: LiveStack) -> list[set[int]]:
    """How many Active copies the shards have, in each node's view."""
    views = nodes(stack).views(name(stack)).values()
    return [{sum(s == "Active" for s in on.values()) for on in replicas(view).values()} for view in views if view]


def previewed(stack: LiveStack) -> list[tuple[str, str]]:
    """What an `up` would change, against what is really there."""
    preview = open_stack(stack.files).preview
    return deployment.run(stack.console, "pulumi preview", preview, refresh=True)[1].changes


def test_what_was_changed_by_hand_is_seen_in_a_preview_and_mended(stack: LiveStack) -> None:
    view = ask(stack, lambda node: node.collection_cluster(name(stack)))
    shard, on = next(iter(replicas(view).items()))
    ask(stack, lambda node: node.drop_replica(name(stack), shard, min(on)))
    ask(stack, lambda node: node.delete_index(name(stack), "source", 30))
    ask(stack, lambda node: node.update_collection(name(stack), {"params": {"write_consistency_factor": 2}}, 30))
    assert ("update", "collection") in previewed(stack)
    progress, _ = stack.up(refresh=True)
    assert ("update", "collection") in progress.changes
    assert copies(stack) == [{2}, {2}, {2}]
    found = ask(stack, lambda node: node.collection(name(stack)))
    assert "source" in found["payload_schema"]
    assert found["config"]["params"]["write_consistency_factor"] == 1
    assert ("update", "collection") not in previewed(stack)


def test_another_factor_moves_replicas_and_nobody_notices(stack: LiveStack) -> None:
    with Clients(stack) as clients:
        clients.settle_in()
        for factor in (3, 2):
            stack.up(collectionReplicationFactor=str(factor))
            assert copies(stack) == [{factor}] * 3
    assert clients.failed_reads == []
    wait_until_settled(stack)
    assert clients.lost() == set()


def test_an_index_and_settings_are_changed_in_place(stack: LiveStack) -> None:
    before = name(stack)
    stack.up(collectionPayloadIndexes={"source": "keyword", "title": "keyword"}, collectionHnsw={"m": 24})
    found = ask(stack, lambda node: node.collection(before))
    assert {"source", "title"} <= found["payload_schema"].keys()
    assert found["config"]["hnsw_config"]["m"] == 24
    stack.up(collectionPayloadIndexes={"source": "keyword"})
    assert "title" not in ask(stack, lambda node: node.collection(before))["payload_schema"]
    assert name(stack) == before


def test_other_shards_are_another_collection_behind_the_alias_and_nobody_notices(stack: LiveStack) -> None:
    before = name(stack)
    with Clients(stack) as clients:
        clients.settle_in()
        stack.up(collectionShardNumber="4")
        clients.settle_in(len(clients.reads) + 20)
    assert clients.failed_reads == []
    assert name(stack) != before
    assert ask(stack, lambda node: node.aliases())[stack.outputs["collection"]] == name(stack)
    assert ask(stack, lambda node: node.collection(before)) is not None, "kept until it is confirmed"
    wait_until_settled(stack)
    assert clients.lost() == set()


def test_a_run_that_was_cut_off_at_the_switch_is_gone_on_with(stack: LiveStack) -> None:
    wish = with_integers(state(stack)["outputs"]) | {"api_key": stack.outputs["qdrantApiKey"], "shard_number": 3}

    def cut_off(text: str) -> None:
        if "taking over" in text:
            raise KeyboardInterrupt

    with Clients(stack) as clients:
        clients.settle_in()
        with pytest.raises(KeyboardInterrupt):
            Lifecycle(
                spec=CollectionSpec.from_props(wish), access=ClusterAccess.from_props(wish), on_progress=cut_off
            ).reconcile()
        stack.up(collectionShardNumber="3")
        clients.settle_in(len(clients.reads) + 20)
    assert clients.failed_reads == []
    assert set(ask(stack, lambda node: node.aliases())) == {stack.outputs["collection"]}
    wait_until_settled(stack)
    assert clients.lost() == set()


def test_what_was_replaced_goes_when_that_is_confirmed(stack: LiveStack) -> None:
    previous = state(stack)["outputs"]["previous"]
    assert len(previous) == 2
    stack.up(collectionKeepPrevious="false")
    assert not set(previous) & set(ask(stack, lambda node: node.collections()))
    assert state(stack)["outputs"]["previous"] == []
    stack.up(collectionKeepPrevious="true")
