"""A backup is whole or none, and a restoration touches nothing before all of it has been checked."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops.daytwo import backup as taking
from ops.daytwo import restore as restoring
from ops.daytwo.backup import back_up, plan_backup, summary
from ops.daytwo.manifest import MANIFEST, Manifest
from ops.daytwo.restore import plan_restore, restore
from ops.stack import OperatorError
from qdrant_admin.api import QdrantError
from tests.unit.fake_contents import KEY, FakeContents, Held, contents, point

NAME = "docs"
QUIET = Console(quiet=True)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeContents]:
    monkeypatch.setattr(restoring, "STATE", tmp_path / "state")
    with contents() as fake:
        fake.add(NAME, 300).schema["source"] = {"data_type": "keyword", "points": 300}
        fake.aliases["docs_index"] = NAME
        yield fake


@pytest.fixture
def folder(fake: FakeContents, tmp_path: Path) -> Path:
    """A backup of the collection as it is."""
    back_up(fake.running, plan_backup(fake.running, []), tmp_path / "backup", QUIET)
    fake.asked.clear()
    return tmp_path / "backup"


def restored(fake: FakeContents, folder: Path, *, replace: bool = False, into: str | None = None) -> str:
    return "\n".join(
        restore(fake.running, each, QUIET)
        for each in plan_restore(fake.running, folder, None, replace=replace, into=into)
    )


def test_a_backup_holds_every_shard_once_and_leaves_nothing_on_the_nodes(fake: FakeContents, folder: Path) -> None:
    [copy] = Manifest.read(folder).collections
    assert [shard.shard for shard in copy.shards] == [0, 1]
    assert sum(shard.points.least for shard in copy.shards) == copy.points.least == copy.points.most == 300
    assert copy.aliases == ("docs_index",)
    assert fake.snapshots == {}


def test_a_backup_has_no_secret(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY in path.read_text()]


def test_its_end_says_how_much_it_was(fake: FakeContents, folder: Path) -> None:
    said = summary(Manifest.read(folder), folder, seconds=2)
    assert "300 points in 2 shards" in said
    assert "MB/s" in said


def test_a_snapshot_that_was_damaged_on_its_way_makes_no_backup(fake: FakeContents, tmp_path: Path) -> None:
    fake.damaged = True
    with pytest.raises(OperatorError, match=r"shard 0 of docs: expected SHA-256 .* damaged on its way"):
        back_up(fake.running, plan_backup(fake.running, []), tmp_path / "backup", QUIET)
    assert not (tmp_path / "backup" / MANIFEST).exists()
    assert fake.snapshots == {}, "what was made on the node must be removed there all the same"


def test_what_an_interrupted_backup_left_is_no_backup_and_is_taken_again(fake: FakeContents, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    fake.damaged = True
    with pytest.raises(OperatorError):
        back_up(fake.running, plan_backup(fake.running, []), folder, QUIET)
    with pytest.raises(OperatorError, match="written last, so what is there is not whole"):
        plan_restore(fake.running, folder, None)
    fake.damaged = False
    back_up(fake.running, plan_backup(fake.running, []), folder, QUIET)
    assert plan_restore(fake.running, folder, None, into="beside")


def test_a_whole_backup_is_not_written_over(fake: FakeContents, folder: Path) -> None:
    with pytest.raises(OperatorError, match="found a whole one"):
        back_up(fake.running, plan_backup(fake.running, []), folder, QUIET)


def test_a_shard_without_an_active_copy_cannot_be_backed_up(fake: FakeContents) -> None:
    fake.collections[NAME].states[1] = {1: "Dead", 2: "Dead"}
    with pytest.raises(OperatorError, match="found none of shard 1"):
        plan_backup(fake.running, [])


def test_an_unknown_collection_is_refused_by_name(fake: FakeContents) -> None:
    with pytest.raises(OperatorError, match="expected one of the collections docs, found dogs"):
        plan_backup(fake.running, ["dogs"])


def test_a_collection_that_is_gone_comes_back_with_points_indexes_and_aliases(fake: FakeContents, folder: Path) -> None:
    before = {i: dict(copy) for i, copy in fake.collections[NAME].copies[0].items()}
    del fake.collections[NAME], fake.aliases["docs_index"]
    said = restored(fake, folder)
    assert {i: dict(copy) for i, copy in fake.collections[NAME].copies[0].items()} == before
    assert fake.collections[NAME].schema.keys() == {"source"}
    assert fake.aliases == {"docs_index": NAME}
    assert "300 points in 2 shards, 4 Active copies" in said


def test_a_collection_that_is_there_is_not_written_over(fake: FakeContents, folder: Path) -> None:
    with pytest.raises(OperatorError, match="expected no collection docs, found one; nothing was touched"):
        plan_restore(fake.running, folder, None)
    assert fake.asked == []


def test_a_restoration_beside_takes_no_alias(fake: FakeContents, folder: Path) -> None:
    restored(fake, folder, into="beside")
    assert fake.aliases == {"docs_index": NAME}
    assert len(fake.collections["beside"].copies) == 2


def test_a_replacement_moves_the_alias_in_one_call_and_keeps_the_old_collection(
    fake: FakeContents, folder: Path
) -> None:
    fake.lose(NAME, 1, fake.holder(NAME, 1))
    restored(fake, folder, replace=True)
    [actions] = fake.alias_calls
    assert [next(iter(action)) for action in actions] == ["delete_alias", "create_alias"]
    assert fake.aliases["docs_index"] != NAME
    assert NAME in fake.collections


def test_without_an_alias_nothing_can_be_replaced_unseen(fake: FakeContents, tmp_path: Path) -> None:
    fake.aliases.clear()
    back_up(fake.running, plan_backup(fake.running, []), tmp_path / "bare", QUIET)
    with pytest.raises(OperatorError, match="without one it cannot be replaced without an empty moment"):
        plan_restore(fake.running, tmp_path / "bare", None, replace=True)


def test_an_alias_that_means_another_collection_by_now_is_let_be(fake: FakeContents, folder: Path) -> None:
    fake.add("newer", 3)
    fake.aliases["docs_index"] = "newer"
    del fake.collections[NAME]
    restored(fake, folder)
    assert fake.aliases == {"docs_index": "newer"}


@pytest.mark.parametrize("spoil", ["changed", "cut", "gone"])
def test_a_damaged_file_is_found_before_anything_is_touched(fake: FakeContents, folder: Path, spoil: str) -> None:
    path = folder / NAME / "shard-1.snapshot"
    content = path.read_bytes()
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"" if spoil == "cut" else b"}"))
    with pytest.raises(OperatorError, match=r"nothing was touched:\ndocs/shard-1.snapshot: expected"):
        plan_restore(fake.running, folder, None, into="beside")
    assert fake.asked == []


def test_half_a_manifest_is_none(fake: FakeContents, folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text[: len(text) // 2])
    with pytest.raises(OperatorError, match="expected a whole manifest"):
        plan_restore(fake.running, folder, None, into="beside")


@pytest.mark.parametrize(("version", "fits"), [("1.19.0", True), ("1.20.2", False), ("2.19.2", False)])
def test_another_minor_version_is_refused(fake: FakeContents, folder: Path, version: str, fits: bool) -> None:
    fake.version = version
    if fits:
        assert plan_restore(fake.running, folder, None, into="beside")
    else:
        with pytest.raises(OperatorError, match=rf"expected Qdrant 1.19.x, which made the backup, found {version}"):
            plan_restore(fake.running, folder, None, into="beside")


def test_more_copies_than_nodes_are_refused(fake: FakeContents, folder: Path) -> None:
    fake.deaf = {1, 2}
    with pytest.raises(OperatorError, match="expected 2 nodes that answer"):
        plan_restore(fake.running, folder, None, into="beside")


def test_points_that_did_not_come_back_are_missed_and_the_alias_stays(fake: FakeContents, folder: Path) -> None:
    spoilt = json.loads((folder / MANIFEST).read_text())
    for shard in spoilt["collections"][0]["shards"]:
        shard["points"] = {"least": 900, "most": 900}
    (folder / MANIFEST).write_text(json.dumps(spoilt))
    fake.time.speed = 30
    with pytest.raises(OperatorError, match=r"expected 300 points in docs-.* not 900.*aliases were not touched"):
        restored(fake, folder, replace=True)
    assert fake.aliases == {"docs_index": NAME}


def test_a_sampled_point_that_is_another_now_is_missed(
    fake: FakeContents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = restoring._fill

    def spoil(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        fake.change("beside", 3, fake.holder("beside", 3), payload={"n": "other"})

    monkeypatch.setattr(restoring, "_fill", spoil)
    with pytest.raises(OperatorError, match="found 1 missing or changed"):
        restored(fake, folder, into="beside")


def test_an_interrupted_restoration_starts_clean(
    fake: FakeContents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_fill", killed)
        with pytest.raises(KeyboardInterrupt):
            restored(fake, folder, into="beside")
    assert "beside" in fake.collections
    assert "300 points" in restored(fake, folder, into="beside")
    with pytest.raises(OperatorError, match="expected no collection beside"):
        plan_restore(fake.running, folder, None, into="beside")


CUSTOM = "by_tenant"


@pytest.fixture
def custom(fake: FakeContents) -> Held:
    """Custom sharding: tenant a in two shards, tenant 7 in one."""
    held = fake.add(CUSTOM, sharding_method="custom", shards=1)
    held.add_key("a", 2, [0, 1])
    held.add_key(7, 1, [1, 2])
    for shard in (1, 2, 3):
        for copy in held.copies[shard].values():
            copy |= {shard * 100 + each: point(shard * 100 + each) for each in range(10)}
    return held


def backed_up(fake: FakeContents, to: Path, *names: str) -> Path:
    back_up(fake.running, plan_backup(fake.running, names), to, QUIET)
    return to


def test_shard_keys_come_back_with_their_points(fake: FakeContents, custom: Held, tmp_path: Path) -> None:
    folder = backed_up(fake, tmp_path / "custom", CUSTOM)
    del fake.collections[CUSTOM]
    assert "30 points in 3 shards" in restored(fake, folder)
    back = fake.collections[CUSTOM]
    assert back.keys == {1: "a", 2: "a", 3: 7}
    assert [len(next(iter(copies.values()))) for copies in back.copies[1:]] == [10, 10, 10]
    assert back.config["params"]["sharding_method"] == "custom"


def test_a_key_of_one_shard_comes_back_under_another_number(fake: FakeContents, custom: Held, tmp_path: Path) -> None:
    custom.keys, custom.copies[1:3], custom.states[1:3] = {3: 7}, [{}, {}], [{}, {}]
    folder = backed_up(fake, tmp_path / "custom", CUSTOM)
    del fake.collections[CUSTOM]
    restored(fake, folder)
    assert fake.collections[CUSTOM].keys == {1: 7}
    assert set(next(iter(fake.collections[CUSTOM].copies[1].values()))) == set(range(300, 310))


def _gap(fake: FakeContents, held: Held) -> None:
    held.keys, held.copies[1], held.states[1] = {2: "a", 3: "a"}, {}, {}


def _keyless(fake: FakeContents, held: Held) -> None:
    held.keys = {}


def _resharding(fake: FakeContents, held: Held) -> None:
    held.resharding = [{"shard_id": 3, "direction": "up"}]


def _unknown(fake: FakeContents, held: Held) -> None:
    held.config["params"]["of_a_later_version"] = 1


def _fewer(fake: FakeContents, held: Held) -> None:
    fake.collections[NAME].config["params"]["shard_number"] = 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_gap, "by_tenant: shard keys a: expected shards that get the same numbers again"),
        (_keyless, "by_tenant: sharding_method custom: expected the key of every shard"),
        (_resharding, "by_tenant: .*found resharding under way"),
        (_unknown, "by_tenant: params.of_a_later_version: expected known settings"),
        (_fewer, "docs: shards: expected 3, numbered from 0"),
    ],
)
def test_what_a_backup_cannot_carry_is_refused_before_it_is_taken(
    fake: FakeContents, custom: Held, spoil: Callable[[FakeContents, Held], None], reason: str
) -> None:
    spoil(fake, custom)
    with pytest.raises(OperatorError, match=rf"none was taken:\n(.*\n)*{reason}"):
        plan_backup(fake.running, [])
    assert fake.snapshots == {}


def spoilt(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found["collections"][0]["shards"].pop(), "docs: shards: expected 2, numbered from 0, found .0."),
        (lambda found: found["collections"][0]["config"]["params"].update(sharding_method="custom"), "key of every"),
        (lambda found: found["collections"][0]["sample"].update(path="../sample.json"), "expected a whole manifest"),
        (lambda found: found["collections"].append(found["collections"][0] | {"name": "docs-01234567"}), "one by one"),
    ],
)
def test_a_manifest_that_lacks_something_is_refused_before_anything_is_touched(
    fake: FakeContents, folder: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    spoilt(folder, change)
    with pytest.raises(OperatorError, match=reason):
        plan_restore(fake.running, folder, None, replace=True)
    assert fake.asked == []


def test_an_alias_that_is_a_collections_name_by_now_is_refused_before_anything_is_touched(
    fake: FakeContents, folder: Path
) -> None:
    fake.aliases.clear()
    del fake.collections[NAME]
    fake.add("docs_index", 3)
    with pytest.raises(OperatorError, match="found a collection called docs_index; nothing was touched"):
        plan_restore(fake.running, folder, None)
    assert fake.asked == []


def test_a_restoration_that_fails_leaves_no_collection(
    fake: FakeContents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise QdrantError(400, "checksum mismatch")

    monkeypatch.setattr(restoring, "_fill", fails)
    with pytest.raises(OperatorError, match="checksum mismatch"):
        restored(fake, folder, into="beside")
    assert set(fake.collections) == {NAME}
    assert fake.aliases == {"docs_index": NAME}


def test_a_collection_that_was_made_after_the_plan_is_not_touched(fake: FakeContents, folder: Path) -> None:
    [planned] = plan_restore(fake.running, folder, None, into="beside")
    fake.add("beside", 5)
    with pytest.raises(OperatorError, match="made meanwhile"):
        restore(fake.running, planned, QUIET)
    assert "beside" in fake.collections


def test_a_snapshot_that_the_disk_has_no_room_for_is_not_downloaded(
    fake: FakeContents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(OperatorError, match="bytes free for its snapshot"):
        backed_up(fake, tmp_path / "full")
    assert fake.snapshots == {}
