"""A migration copies until both are the same, and the alias moves only then; the way back is kept."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.daytwo import journal
from ops.daytwo import migrate as moving
from ops.daytwo.migrate import Migration, migrate, plan_migration, roll_back
from ops.daytwo.reindex import Keys, at, documents
from ops.stack import OperatorError
from qdrant_admin.api import QdrantError
from qdrant_admin.collection.settings import CollectionSettings
from qdrant_admin.points.client import PAGE_BYTES, NodePoints, page_limit
from qdrant_admin.points.synchronisation import Copied, Route, synchronise
from tests.unit.declaring import OTHER_LAYOUTS
from tests.unit.fake_contents import KEY, FakeContents, contents, point

OLD, NEW, ALIAS = "old", "old_migrated", "docs_index"
QUIET = Console(quiet=True)
DECLARED: dict[str, Any] = {"name": "docs", "vector_size": 4, "distance": "Cosine", "shard_number": 2}
DECLARED |= {"replication_factor": 2, "write_consistency_factor": 1, "alias": ALIAS, "vectors_on_disk": False}
DECLARED |= {"hnsw": {}, "optimizers": {}, "quantization": {}, "strict_mode": {}}
DECLARED |= {"payload_indexes": {}, "keep_previous": True}


@pytest.fixture(autouse=True)
def kept_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(journal, "STATE", tmp_path)


@pytest.fixture
def both() -> Iterator[tuple[FakeContents, FakeContents]]:
    """The single node that is left, and the cluster that is moved to."""
    with ExitStack() as stack:
        source, cluster = stack.enter_context(contents(nodes=1)), stack.enter_context(contents())
        source.add(OLD, 600, shards=1).schema["source"] = {"data_type": "keyword", "points": 600}
        cluster.add("docs", 5)
        cluster.aliases[ALIAS] = "docs"
        yield source, cluster


def planned(source: FakeContents, cluster: FakeContents, *, read: bool = False, **declared: Any) -> Migration:
    settings = CollectionSettings(**(DECLARED | declared))
    node = NodePoints(source.urls[0], KEY)
    return plan_migration(cluster.running, node, OLD, settings, target=NEW, read_by_the_service=read)


def test_everything_arrives_and_the_alias_moves_in_one_call(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    said = migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert cluster.collections[NEW].copies != [{}, {}]
    assert sum(len(next(iter(copy.values()))) for copy in cluster.collections[NEW].copies) == 600
    assert cluster.collections[NEW].schema.keys() == {"source"}
    assert cluster.alias_calls == [
        [{"delete_alias": {"alias_name": ALIAS}}, {"create_alias": {"alias_name": ALIAS, "collection_name": NEW}}]
    ]
    assert "600 points in the source and through each of 3 nodes, the same bit for bit" in said


def test_the_source_is_snapshot_first_and_never_changed(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert source.asked == [("POST", f"/collections/{OLD}/snapshots")]


def test_a_dry_run_asks_and_changes_nothing(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    assert f"alias {ALIAS}: from docs to {NEW}, in one call" in planned(source, cluster).lines()
    assert (source.asked, cluster.asked) == ([], [])


def test_what_is_written_changed_and_deleted_meanwhile_arrives_too(
    both: tuple[FakeContents, FakeContents], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cluster = both

    def meanwhile() -> None:
        cluster.before_write = lambda: None
        source.write(OLD, [point(9999), point(3, changed=True)])
        source.lose(OLD, 4, 0)

    cluster.before_write = meanwhile
    said = migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    arrived = {i: p for copies in cluster.collections[NEW].copies for i, p in next(iter(copies.values())).items()}
    assert (9999 in arrived, 4 in arrived, arrived[3]["payload"]) == (True, False, {"n": "3", "changed": True})
    assert "600 points" in said


def test_a_source_that_never_rests_is_not_cut_over(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    ids = iter(range(10_000, 20_000))

    def another() -> None:
        cluster.time.seconds += 200
        source.write(OLD, [point(next(ids))])

    cluster.before_write = another
    with pytest.raises(OperatorError, match=r"expected old to come to rest within 600 s, found.* Nothing was cut over"):
        migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert cluster.aliases[ALIAS] == "docs"


def test_an_interrupted_migration_goes_on_and_takes_no_second_snapshot(
    both: tuple[FakeContents, FakeContents],
) -> None:
    source, cluster = both

    def killed() -> None:
        raise KeyboardInterrupt

    first = planned(source, cluster)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "_follow", lambda *_: killed())
        with pytest.raises(KeyboardInterrupt):
            migrate(cluster.running, first, KEY, QUIET)
    cluster.write(NEW, [point(i) for i in range(100)])
    assert "600 points" in migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert len([path for method, path in source.asked if path.endswith("/snapshots")]) == 1


def test_a_node_that_refuses_in_passing_is_asked_again(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    cluster.refused = [500, 503]
    assert "600 points" in migrate(cluster.running, planned(source, cluster), KEY, QUIET)


def test_a_node_that_refuses_for_good_ends_it_before_the_alias_moves(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    cluster.refused = [400] * 99
    with pytest.raises(OperatorError, match="the migration stopped: HTTP 400"):
        migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert cluster.aliases[ALIAS] == "docs"


def test_a_copy_that_lost_a_point_is_not_cut_over_to(
    both: tuple[FakeContents, FakeContents], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cluster = both
    real = moving._same

    def lose_one(*args: Any) -> str:
        cluster.lose(NEW, 5, cluster.holder(NEW, 5))
        return real(*args)

    monkeypatch.setattr(moving, "_same", lose_one)
    with pytest.raises(OperatorError, match=r"expected 600 points, found .*599"):
        migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert cluster.aliases[ALIAS] == "docs"


def test_what_comes_to_the_source_too_late_is_said_and_not_written_over_what_is_new(
    both: tuple[FakeContents, FakeContents], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cluster = both
    real = moving._same

    def one_more(*args: Any) -> str:
        said = real(*args)
        source.write(OLD, [point(7777)])
        return said

    monkeypatch.setattr(moving, "_same", one_more)
    assert "1 points came to the source after the last comparison, such as 7777" in migrate(
        cluster.running, planned(source, cluster), KEY, QUIET
    )


def test_the_way_back_and_that_it_is_taken_once(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    with pytest.raises(OperatorError, match="there is nothing to roll back from"):
        roll_back(cluster.running, ALIAS)
    migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    assert f"alias {ALIAS} serves docs again" in roll_back(cluster.running, ALIAS)
    assert cluster.aliases == {ALIAS: "docs"}
    assert NEW in cluster.collections
    with pytest.raises(OperatorError, match="there is nothing to roll back from"):
        roll_back(cluster.running, ALIAS)


@pytest.mark.parametrize("rolled_back", [False, True])
def test_what_was_cut_over_is_not_migrated_again_over_what_was_written_since(
    both: tuple[FakeContents, FakeContents], rolled_back: bool
) -> None:
    source, cluster = both
    migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    cluster.write(NEW, [point(123456)])
    if rolled_back:
        roll_back(cluster.running, ALIAS)
    with pytest.raises(OperatorError, match=f"expected .*{NEW}"):
        planned(source, cluster)


@pytest.mark.parametrize("declared", [{"vector_size": 8}, {"distance": "Dot"}])
def test_vectors_that_do_not_fit_are_refused_with_the_other_way(
    both: tuple[FakeContents, FakeContents], declared: dict[str, Any]
) -> None:
    with pytest.raises(OperatorError, match="REINDEX=1 embeds the texts anew"):
        planned(*both, **declared)


@pytest.mark.parametrize(
    ("params", "point"),
    OTHER_LAYOUTS,
)
def test_vectors_that_are_kept_otherwise_are_refused_by_each_difference(
    both: tuple[FakeContents, FakeContents], params: dict[str, Any], point: str
) -> None:
    both[0].collections[OLD].config["params"].update(params)
    with pytest.raises(OperatorError, match=point) as refused:
        planned(*both)
    assert "None" not in str(refused.value)


def test_payloads_that_the_service_cannot_read_are_refused_before_anything_is_touched(
    both: tuple[FakeContents, FakeContents],
) -> None:
    source, cluster = both
    with pytest.raises(OperatorError, match="no text and source: searches would show empty passages"):
        planned(source, cluster, read=True)
    assert NEW not in cluster.collections
    for copy in source.collections[OLD].copies[0].values():
        for each in copy.values():
            each["payload"] = {"text": "some", "source": "a"}
    assert planned(source, cluster, read=True).points == 600


def test_a_dead_source_is_said_and_nothing_is_touched(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    source.deaf = {0}
    with pytest.raises(OperatorError, match="does not answer"):
        planned(source, cluster)
    assert cluster.asked == []


def test_a_collection_that_somebody_else_made_is_let_be(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    cluster.add(NEW, 3)
    with pytest.raises(OperatorError, match="found one that this migration did not begin"):
        planned(source, cluster)


def test_an_unknown_collection_of_the_source_is_told_from_those_it_has(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    source.collections["other"] = source.collections.pop(OLD)
    with pytest.raises(OperatorError, match="found other; name one with COLLECTION="):
        planned(source, cluster)


def test_a_pass_that_finds_nothing_writes_nothing(both: tuple[FakeContents, FakeContents]) -> None:
    source, cluster = both
    migrate(cluster.running, planned(source, cluster), KEY, QUIET)
    cluster.asked.clear()
    target = cluster.running.points(NEW)
    done = synchronise(Route(source=source.running.points(OLD), target=target, fill=Copied(target)))
    assert (done.changed, done.source.points, str(done.source) == str(done.target)) == (0, 600, True)
    assert cluster.asked == []


def test_a_page_is_as_large_as_its_points_allow() -> None:
    assert page_limit(size_bytes=256 * 8000, points=256) == PAGE_BYTES // 8000
    assert page_limit(size_bytes=100 << 20, points=1) == 16
    assert page_limit(size_bytes=10, points=10) == 2000


def test_passages_become_the_documents_they_were_cut_from() -> None:
    passages: list[dict[str, Any]] = [
        {"id": 1, "payload": {"source": "a", "title": "A", "chunk": 1, "text": "second"}},
        {"id": 2, "payload": {"source": "b", "text": "alone"}},
        {"id": 3, "payload": {"source": "a", "title": "A", "chunk": 0, "text": "first"}},
    ]
    found = {document.source: (document.title, document.text) for document in documents(passages, Keys())}
    assert found == {"a": ("A", "first\nsecond"), "b": ("b", "alone")}


def test_what_langchain_and_llamaindex_wrote_is_read_as_it_is() -> None:
    node = json.dumps({"text": "from a node", "start_char_idx": 7})
    written: list[dict[str, Any]] = [
        {"id": 1, "payload": {"page_content": "second", "metadata": {"source": "a.md", "start_index": 40}}},
        {"id": 2, "payload": {"page_content": "first", "metadata": {"source": "a.md", "start_index": 0}}},
        {"id": 3, "payload": {"_node_content": node, "ref_doc_id": "doc", "file_name": "b.md"}},
    ]
    found = {document.source: (document.title, document.text) for document in documents(written, Keys())}
    assert found == {"a.md": ("a.md", "first\nsecond"), "doc": ("b.md", "from a node")}


def test_a_key_may_be_a_path_and_a_key_with_a_dot_is_itself() -> None:
    payload = {"a.b": 1, "c": {"d": 2}, "e": "no JSON", "f": '{"g": 3}'}
    assert [at(payload, key) for key in ("a.b", "c.d", "e.x", "f.g", "c.d.e", "z")] == [1, 2, None, 3, None, None]


def test_a_payload_without_text_is_named() -> None:
    with pytest.raises(OperatorError, match="expected text under the key text in the payload of point 1, found body"):
        documents([{"id": 1, "payload": {"body": "x"}}], Keys())


@pytest.mark.parametrize("enabled", [True, False])
def test_points_are_read_and_written_in_the_portions_that_strict_mode_allows(enabled: bool) -> None:
    with contents() as fake:
        strict = {"enabled": enabled, "max_query_limit": 7, "upsert_max_batchsize": 5}
        fake.add("docs", 40).config["strict_mode_config"] = strict
        fake.strict = strict if enabled else {}
        points = fake.running.points("docs")
        assert len(list(points)) == 40
        points.upsert([point(each) for each in range(100, 112)])
        assert points.count() == 52
        assert len([path for method, path in fake.asked if method == "PUT"]) == (3 if enabled else 1)


def test_a_rate_limit_is_waited_for_and_a_refusal_is_not_repeated() -> None:
    with contents() as fake:
        fake.add("docs")
        fake.refused = [429, 429]
        fake.running.points("docs").upsert([point(1)])
        fake.refused, fake.asked = [422, 422], []
        with pytest.raises(QdrantError, match="HTTP 422"):
            fake.running.points("docs").upsert([point(1)])
        assert len(fake.asked) == 1


def test_a_strict_mode_that_refuses_our_exact_counts_is_refused_by_its_key() -> None:
    with pytest.raises(ValueError, match=r"search_allow_exact(.|\n)*count points exactly"):
        CollectionSettings(**(DECLARED | {"strict_mode": {"search_allow_exact": False}}))
    assert CollectionSettings(**(DECLARED | {"strict_mode": {"max_query_limit": 1, "search_allow_exact": True}}))
