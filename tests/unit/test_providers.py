"""The dynamic providers as the engine meets them: numbers as floats, pickled, asked what differs and what is left."""

import base64
from collections.abc import Iterator
from typing import Any

import dill
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

from providers.collection import DECLARED, CollectionProvider
from providers.guarded import GuardedProvider
from providers.one_shot import OneShotProvider
from providers.settled import SettledProvider
from providers.wire import ALIAS as COLLECTION_ALIAS
from providers.wire import API_KEY, NODE_URLS, with_integers
from qdrant_admin import nodes
from qdrant_admin.api import NodeUnreachable
from qdrant_admin.collection import lifecycle as collection_life
from qdrant_admin.placement import moves as replica_moves
from tests.unit.declaring import declared
from tests.unit.fake_qdrant import ALIAS, KEY, NAME, FakeCluster, running_cluster

NOBODY = {"url": "http://127.0.0.1:1", "user": "operator", "password": "s3cret-of-the-balancer", "prefix": "qdrant-"}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    for module in (collection_life, nodes, replica_moves):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    with running_cluster() as cluster:
        yield cluster


def collection_inputs(urls: list[str], **changes: Any) -> dict[str, Any]:
    """As the engine hands them over."""
    plain = declared(FakeCluster(urls=urls), timeout_seconds=10, hnsw={"m": 32})
    return {key: _as_floats(value) for key, value in (plain | changes).items()} | {"__provider": "pickled"}


def _as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_floats(each) for key, each in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def gate_inputs(urls: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "ordinal": 1.0,
        "started": "container-1",
        "node_urls": urls,
        "api_key": KEY,
        "balancer": NOBODY,
        "timeout_seconds": 0.0,
        "__provider": "pickled",
    } | changes


# A state, as `create` leaves it.
SEEN = collection_inputs(["http://a"], physical_replication_factor=2, adopted=False, previous=[], draining=False)


def test_whole_numbers_are_whole_again_and_nothing_else_changes() -> None:
    props = {"size": 384.0, "span": 0.5, "on": True, "name": "docs", "urls": ["u"], "none": None, "already": 6}
    props |= {"hnsw": {"m": 32.0}, "many": [1.0]}
    restored = with_integers(props)
    assert restored == props
    assert [type(restored["hnsw"]["m"]), type(restored["many"][0])] == [int, int]
    assert [type(restored[key]) for key in ("size", "span", "on", "already")] == [int, float, bool, int]


def test_a_collection_is_made_with_whole_numbers_and_known_by_its_name(cluster: FakeCluster) -> None:
    created = CollectionProvider().create(collection_inputs(cluster.urls))
    (_, _, body), _ = cluster.changes
    assert str(body["shard_number"]) + str(body["hnsw_config"]["m"]) == "232", "a real Qdrant refuses 2.0"
    assert created.id == NAME
    assert created.outs is not None
    assert (created.outs["physical_replication_factor"], created.outs["adopted"]) == (2, False)


@pytest.mark.parametrize(
    "change",
    [{}, {"timeout_seconds": 9}, {"stalled_seconds": 9}, {"embedder": "ollama"}],
)
def test_another_patience_or_code_is_no_difference_of_the_collection(change: dict[str, Any]) -> None:
    news = collection_inputs(["http://a"], **change) | {"__provider": "edited"}
    assert CollectionProvider().diff(NAME, SEEN, news).changes is False


@pytest.mark.parametrize(
    "change",
    [{"api_key": "another"}, {"node_urls": ["http://b"]}, {"ingest_url": "http://b"}, {"ingest_token": "another"}],
)
def test_another_key_or_address_is_taken_over_because_a_later_refresh_goes_by_it(change: dict[str, Any]) -> None:
    assert CollectionProvider().diff(NAME, SEEN, collection_inputs(["http://a"], **change)).changes is True


OTHERWISE: dict[str, Any] = {
    "name": "other",
    "alias": "other",
    "distance": "Dot",
    "vectors_on_disk": True,
    "hnsw": {"m": 8.0},
    "optimizers": {"indexing_threshold": 5.0},
    "quantization": {"binary": {}},
    "payload_indexes": {"source": "keyword"},
    "strict_mode": {"enabled": True},
}


@pytest.mark.parametrize("key", DECLARED)
def test_every_declared_property_is_a_difference_and_only_another_name_another_resource(key: str) -> None:
    news = collection_inputs(["http://a"]) | {key: OTHERWISE.get(key, 3.0)}
    found = CollectionProvider().diff(NAME, SEEN, news)
    assert found.changes
    assert found.replaces == (["name"] if key == "name" else [])


@pytest.mark.parametrize(
    ("seen", "keep", "differs"),
    [({"previous": ["docs"]}, True, False), ({"previous": ["docs"]}, False, True), ({"previous": []}, False, False),
     ({"draining": True}, True, True), ({"guarded": True}, True, True)],
)  # fmt: skip
def test_what_is_left_to_do_is_a_difference(seen: dict[str, Any], keep: bool, differs: bool) -> None:
    news = collection_inputs(["http://a"], keep_previous=keep)
    assert CollectionProvider().diff(NAME, SEEN | seen, news).changes is differs


def test_a_state_of_an_earlier_release_that_was_left_draining_is_a_difference_and_is_read_without_its_word(
    cluster: FakeCluster,
) -> None:
    old = {key: value for key, value in SEEN.items() if key != "draining"} | {"racing": True}
    assert CollectionProvider().diff(NAME, old, collection_inputs(["http://a"])).changes is True
    cluster.add()
    cluster.aliases = {ALIAS: NAME}
    found = CollectionProvider().read(NAME, old | collection_inputs(cluster.urls, hnsw={}))
    assert found.outs is not None
    assert found.outs["draining"] is False
    assert "racing" not in {**found.outs, **(found.inputs or {})}


def test_a_lost_or_surplus_replica_is_a_difference_after_a_look(cluster: FakeCluster) -> None:
    provider, inputs = CollectionProvider(), collection_inputs(cluster.urls, hnsw={})
    cluster.aliases = {ALIAS: NAME}
    for physical, differs in ((2, False), (1, True), (3, True)):
        cluster.add(physical=physical)
        seen = provider.read(NAME, SEEN | inputs).outs
        assert seen is not None
        assert seen["physical_replication_factor"] == physical
        assert provider.diff(NAME, seen, inputs).changes is differs


def test_a_collection_that_is_gone_is_reported_gone_and_a_silent_cluster_is_not(cluster: FakeCluster) -> None:
    gone = CollectionProvider().read(NAME, collection_inputs(cluster.urls))
    assert (gone.id, gone.outs) == ("", {})
    cluster.down = {0, 1, 2}
    with pytest.raises(NodeUnreachable):
        CollectionProvider().read(NAME, collection_inputs(cluster.urls))


def test_a_look_gives_inputs_too_so_that_a_preview_shows_what_drifted(cluster: FakeCluster) -> None:
    inputs = collection_inputs(cluster.urls, payload_indexes={"source": "keyword"})
    CollectionProvider().create(inputs)
    cluster.collections[NAME].indexes.clear()
    seen = CollectionProvider().read(NAME, inputs)
    assert seen.inputs is not None
    assert set(seen.inputs) == set(inputs), "what is observed is no input"
    assert [key for key in DECLARED if seen.inputs.get(key) != inputs.get(key)] == ["payload_indexes"]


def test_a_collection_is_looked_up_by_its_name_alone_with_the_way_out_of_the_environment(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    CollectionProvider().create(collection_inputs(cluster.urls))
    with pytest.raises(RuntimeError, match=r"found no RAG_QDRANT_NODE_URLS, RAG_QDRANT_API_KEY, RAG_COLLECTION_ALIAS"):
        CollectionProvider().read(NAME, {})
    for name, value in ((NODE_URLS, ",".join(cluster.urls)), (API_KEY, KEY), (COLLECTION_ALIAS, ALIAS)):
        monkeypatch.setenv(name, value)
    seen = CollectionProvider().read(NAME, {}).outs
    assert seen is not None
    assert (seen["shard_number"], seen["physical_replication_factor"]) == (2, 2)


def test_an_update_keeps_what_the_collection_was_made_as(cluster: FakeCluster) -> None:
    cluster.add()
    olds = collection_inputs(cluster.urls, physical_replication_factor=2.0, adopted=True)
    updated = CollectionProvider().update(NAME, olds, collection_inputs(cluster.urls, write_consistency_factor=2.0))
    assert updated.outs is not None
    assert (updated.outs["adopted"], updated.outs["write_consistency_factor"]) == (True, 2)


def test_a_deleted_collection_is_gone(cluster: FakeCluster) -> None:
    cluster.add()
    CollectionProvider().delete(NAME, collection_inputs(cluster.urls))
    assert cluster.collections == {}


def test_guarded_data_is_not_deleted_before_that_is_asked_for_twice(cluster: FakeCluster) -> None:
    cluster.add()
    with pytest.raises(RuntimeError, match=r"found it protected; set protectData to false.*Nothing was deleted"):
        CollectionProvider().delete(NAME, collection_inputs(cluster.urls, guarded=True))
    assert cluster.changes == []


def test_a_gate_opens_again_only_for_another_start_of_its_node() -> None:
    provider, olds = SettledProvider(), gate_inputs(["http://a"])
    for key in olds.keys() - {"started"}:
        assert provider.diff("settled-1", olds, olds | {key: "another"}).changes is False
    assert provider.diff("settled-1", olds, olds | {"started": "container-2"}).changes


def test_a_gate_asks_the_started_nodes_first_and_all_of_them_later(cluster: FakeCluster) -> None:
    cluster.joined = 2
    assert SettledProvider().create(gate_inputs(cluster.urls)).id == "settled-1"
    assert cluster.looks[2] == 0
    cluster.joined = 3
    SettledProvider().update("settled-1", gate_inputs(cluster.urls), gate_inputs(cluster.urls, started="container-2"))
    assert cluster.looks[2] == 3


PROVIDERS = [CollectionProvider, SettledProvider, GuardedProvider, OneShotProvider]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_the_state_keeps_of_a_provider_is_its_name(kind: type[ResourceProvider]) -> None:
    kept = base64.b64decode(serialize_provider(kind()))
    assert f"{kind.__module__}".encode() in kept
    assert len(kept) < 200, "code in the state would make every edit an update, and every refresh run the old code"
    assert type(dill.loads(kept)) is kind


def test_a_provider_that_has_worked_keeps_no_secret(cluster: FakeCluster) -> None:
    collection, gate = CollectionProvider(), SettledProvider()
    collection.create(collection_inputs(cluster.urls))
    gate.update("settled-1", {}, gate_inputs(cluster.urls))
    for provider in (collection, gate):
        kept = base64.b64decode(serialize_provider(provider))
        assert KEY.encode() not in kept
        assert NOBODY["password"].encode() not in kept


def test_a_provider_that_held_its_key_would_be_seen_to(cluster: FakeCluster) -> None:
    careless = CollectionProvider()
    careless.key = KEY  # type: ignore[attr-defined]
    assert KEY.encode() in base64.b64decode(serialize_provider(careless))


def test_a_provider_out_of_the_state_works_on(cluster: FakeCluster) -> None:
    revived = dill.loads(base64.b64decode(serialize_provider(CollectionProvider())))
    assert revived.create(collection_inputs(cluster.urls)).outs["physical_replication_factor"] == 2
