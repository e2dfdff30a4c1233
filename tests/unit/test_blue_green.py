"""Another collection behind the alias: nothing lost, nothing brought back, nobody served half of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qdrant_admin.api import NodeUnreachable
from qdrant_admin.collection import blue_green
from qdrant_admin.collection.generations import draining_alias, successor
from qdrant_admin.points import client, synchronisation
from tests.unit.declaring import lifecycle
from tests.unit.fake_points import Point
from tests.unit.fake_qdrant import ALIAS, NAME, Collection, FakeCluster, running_cluster
from tests.unit.served import Answer, Asked, Silence, served

MARK = draining_alias(ALIAS)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.setattr(client, "FIRST_PAGE", 4)
    for module in (client, synchronisation):
        monkeypatch.setattr(module, "page_limit", lambda *_: 4)
    monkeypatch.setattr(blue_green, "FEW", 0)
    with running_cluster() as cluster:
        lifecycle(cluster).reconcile()
        source(cluster).points.write(*(point(number) for number in range(10)))
        cluster.changes.clear()
        yield cluster


def point(number: int, *, text: str = "as it was") -> Point:
    return {"id": number, "vector": [0.5, 0.5, 0.5, 0.5], "payload": {"text": f"{number} {text}"}}


def source(cluster: FakeCluster) -> Collection:
    return cluster.collections[NAME]


def target(cluster: FakeCluster, **changes: Any) -> Collection:
    return cluster.collections[successor(lifecycle(cluster, **(changes or {"shard_number": 3})).spec)]


def reshard(
    cluster: FakeCluster, on_progress: Callable[[str], None] = lambda _: None, **changes: Any
) -> dict[str, Any]:
    return lifecycle(cluster, on_progress, shard_number=3, **changes).reconcile()


def texts(found: Collection) -> dict[int, str]:
    return {number: each["payload"]["text"].partition(" ")[2] for number, each in found.points.stored.items()}


def served_name(cluster: FakeCluster) -> str:
    return cluster.aliases[ALIAS]


def test_the_alias_serves_a_collection_with_other_shards_and_every_point(cluster: FakeCluster) -> None:
    observed = reshard(cluster, payload_indexes={"source": "keyword"})
    assert (observed["shard_number"], observed["physical_replication_factor"]) == (3, 2)
    assert target(cluster).points.stored == source(cluster).points.stored
    assert cluster.aliases == {ALIAS: observed["physical_name"]}
    assert observed["previous"] == [NAME], "kept until it is confirmed"
    assert target(cluster).indexes == {"source": "keyword"}


def test_the_same_again_changes_nothing(cluster: FakeCluster) -> None:
    reshard(cluster)
    cluster.changes.clear()
    reshard(cluster)
    assert cluster.changes == []


def test_the_one_before_goes_when_that_is_confirmed(cluster: FakeCluster) -> None:
    reshard(cluster)
    observed = reshard(cluster, keep_previous=False)
    assert observed["previous"] == []
    assert list(cluster.collections) == [observed["physical_name"]]


def test_the_one_before_has_gone_only_when_the_last_node_has_dropped_it(cluster: FakeCluster) -> None:
    reshard(cluster)
    cluster.looks_behind = {2: 3}
    assert reshard(cluster, keep_previous=False)["previous"] == []


def test_a_collection_that_another_alias_serves_is_never_dropped_as_previous(cluster: FakeCluster) -> None:
    reshard(cluster)
    cluster.add(f"{NAME}-0123abcd")
    cluster.aliases["of-somebody-else"] = f"{NAME}-0123abcd"
    reshard(cluster, keep_previous=False)
    assert f"{NAME}-0123abcd" in cluster.collections


def test_the_alias_always_serves_one_of_them_and_the_new_one_only_when_it_is_whole(cluster: FakeCluster) -> None:
    served: list[tuple[str, int]] = []

    def watch(_: str) -> None:
        name = served_name(cluster)
        served.append((name, len(cluster.collections[name].points.stored)))

    source(cluster).points.on_call = watch
    reshard(cluster)
    assert {name for name, _ in served} == {NAME, successor(lifecycle(cluster, shard_number=3).spec)}
    assert {count for _, count in served} == {10}
    switching, unmarking = [body["actions"] for _, path, body in cluster.changes if path == "/collections/aliases"]
    assert [next(iter(action)) for action in switching] == ["delete_alias", "create_alias", "create_alias"]
    assert unmarking == [{"delete_alias": {"alias_name": MARK}}]


class Writer:
    """Writes to whatever the alias serves, at each call to the points of a collection, as long as it has plans."""

    def __init__(self, cluster: FakeCluster, *plans: Callable[[Collection], None]) -> None:
        self._cluster, self._plans = cluster, list(plans)

    def __call__(self, _: str) -> None:
        if self._plans:
            self._plans.pop(0)(self._cluster.collections[served_name(self._cluster)])


def adds(number: int) -> Callable[[Collection], None]:
    return lambda found: found.points.write(point(number))


def changes(number: int) -> Callable[[Collection], None]:
    return lambda found: found.points.write(point(number, text="anew"))


def deletes(number: int) -> Callable[[Collection], None]:
    def delete(found: Collection) -> None:
        del found.points.stored[number]

    return delete


def nothing(_: Collection) -> None:
    """A call during which nobody writes."""


def test_what_is_written_changed_or_deleted_meanwhile_is_so_in_the_end(cluster: FakeCluster) -> None:
    source(cluster).points.on_call = Writer(cluster, nothing, nothing, adds(50), changes(0), deletes(1), adds(2))
    reshard(cluster)
    assert texts(target(cluster)) == texts(source(cluster))
    assert texts(target(cluster))[0] == "anew"
    assert 1 not in target(cluster).points.stored


def late(cluster: FakeCluster, at_source: Callable[[], None], at_target: Callable[[], None]) -> None:
    """A write that was on its way to the source when the alias was switched, and one that came to the target since."""

    def on_switch(text: str) -> None:
        if "taking over" in text:
            at_source()
            at_target()

    reshard(cluster, on_switch)


def test_a_write_that_raced_the_switch_is_not_lost(cluster: FakeCluster) -> None:
    def at_source() -> None:
        source(cluster).points.write(point(77), point(3, text="late"))
        del source(cluster).points.stored[4]

    late(cluster, at_source, lambda: None)
    found = texts(target(cluster))
    assert (found[77], found[3]) == ("as it was", "late")
    assert 4 not in found
    assert cluster.aliases == {ALIAS: served_name(cluster)}


def test_what_the_new_ones_own_writers_did_since_is_not_undone(cluster: FakeCluster) -> None:
    old = source(cluster).points

    def at_source() -> None:
        old.write(point(3, text="late"), point(5, text="late"))
        del old.stored[4]

    def at_target() -> None:
        target(cluster).points.write(point(3, text="later"), point(4, text="later"), point(99))
        del target(cluster).points.stored[5]

    late(cluster, at_source, at_target)
    found = texts(target(cluster))
    assert (found[3], found[4], found[99]) == ("later", "later", "as it was")
    assert 5 not in found


STAGES = ["shard 0 from", "cannot be changed in place", "taking over"]


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_run_is_gone_on_with(cluster: FakeCluster, stage: str) -> None:
    cluster.replicas_made = 1

    def interrupt(text: str) -> None:
        if stage in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reshard(cluster, interrupt)
    if stage == "taking over":
        source(cluster).points.write(point(77))
        observed = lifecycle(cluster, shard_number=3).observe()
        assert observed is not None
        assert observed["draining"], "a refresh shows that something is left to do"
    assert reshard(cluster)["physical_replication_factor"] == 2
    assert texts(target(cluster)) == texts(source(cluster))
    assert MARK not in cluster.aliases


def hooked(cluster: FakeCluster, on_call: Callable[[str], None]) -> None:
    """What is created from now on has a test's hook on its points."""
    made = cluster._create

    def make(asked: Asked, name: str) -> Answer:
        answer = made(asked, name)
        cluster.collections[name].points.on_call = on_call
        return answer

    cluster._create = make  # type: ignore[method-assign]


def test_an_interrupted_copy_is_continued_and_what_is_there_is_not_written_again(cluster: FakeCluster) -> None:
    cluster.speed = 60

    def fail_after_a_page(call: str) -> None:
        if call == "PUT" and target(cluster).points.stored:
            raise Silence

    hooked(cluster, fail_after_a_page)
    with pytest.raises(NodeUnreachable):
        reshard(cluster)
    assert target(cluster).points.written == [0, 1, 2, 3]
    target(cluster).points.on_call = lambda _: None
    reshard(cluster)
    assert target(cluster).points.written == list(range(10))
    assert texts(target(cluster)) == texts(source(cluster))


def test_a_target_that_lacks_something_is_not_switched_to(cluster: FakeCluster) -> None:
    def lose_a_point(call: str) -> None:
        if call == "count":
            target(cluster).points.stored.pop(0, None)

    hooked(cluster, lose_a_point)
    with pytest.raises(RuntimeError, match=f"expected 10 points, found 9.*{ALIAS} still serves {NAME}"):
        reshard(cluster)
    assert cluster.aliases == {ALIAS: NAME}


@pytest.mark.parametrize("spoilt", [{"payload": {"text": "another"}}, {"vector": [0.5, 0.5, 0.5, -0.5]}])
def test_a_target_whose_points_differ_is_not_switched_to(cluster: FakeCluster, spoilt: Point) -> None:
    def spoil(call: str) -> None:
        if call == "count":
            target(cluster).points.stored[0] |= spoilt

    hooked(cluster, spoil)
    with pytest.raises(RuntimeError, match="point 0 differs"):
        reshard(cluster)
    assert cluster.aliases == {ALIAS: NAME}


def test_a_named_vector_that_the_target_rounds_otherwise_is_the_same(cluster: FakeCluster) -> None:
    sparse = {"indices": [3, 1], "values": [0.5, 0.25]}
    for each in source(cluster).points.stored.values():
        each["vector"] = {"text": [0.6, 0.8], "words": sparse}

    def round_otherwise(_: str) -> None:
        for each in target(cluster).points.stored.values():
            each["vector"] = {"text": [0.6, 0.8000001], "words": {"indices": [1, 3], "values": [0.25, 0.5]}}

    hooked(cluster, round_otherwise)
    reshard(cluster)
    assert served_name(cluster) != NAME
    assert target(cluster).points.written == list(range(10)), "each point is written once"


@pytest.fixture
def ingest(cluster: FakeCluster) -> Iterator[str]:
    """An ingest role that makes vectors of eight."""

    def answer(asked: Asked) -> Answer:
        assert asked.headers["x-service-token"] == "t0ken"
        if asked.path == "/embedders/minilm":
            return Answer(200, {"vector_size": 8})
        body = asked.json
        for each in body["ids"]:
            payload = cluster.collections[body["source"]].points.stored[each]["payload"]
            made = {"id": each, "vector": [0.1] * 8, "payload": payload | {"digest": "of the other model"}}
            cluster.collections[body["target"]].points.write(made)
        return Answer(200, {"points": len(body["ids"])})

    with served(answer) as url:
        yield url


def test_another_vector_size_is_embedded_anew(cluster: FakeCluster, ingest: str) -> None:
    wish: dict[str, Any] = {"vector_size": 8, "ingest_url": ingest, "ingest_token": "t0ken"}
    observed = lifecycle(cluster, **wish).reconcile()
    assert observed["vector_size"] == 8
    found = target(cluster, vector_size=8)
    assert texts(found) == texts(source(cluster))
    assert {len(each["vector"]) for each in found.points.stored.values()} == {8}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"vector_size": 16}, "expected an embedder that makes vectors of 16 dimensions, found minilm, which makes 8"),
        ({"vector_size": 8, "ingest_url": ""}, "expected the ingest role"),
        ({"distance": "Dot", "ingest_url": ""}, "expected the ingest role"),
    ],
)
def test_vectors_that_nobody_can_make_are_refused_before_anything_is_made(
    cluster: FakeCluster, ingest: str, wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeError, match=f"{words}.*nothing was changed"):
        lifecycle(cluster, **{"ingest_url": ingest, "ingest_token": "t0ken"} | wish).reconcile()
    assert cluster.changes == []


def test_an_ingest_role_that_is_away_is_said_before_anything_is_made(cluster: FakeCluster) -> None:
    with pytest.raises(RuntimeError, match=r"expected the ingest role at http://127.0.0.1:1"):
        lifecycle(cluster, vector_size=8, ingest_url="http://127.0.0.1:1").reconcile()
    assert cluster.changes == []
