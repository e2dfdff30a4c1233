"""What an operator does to a living cluster: nobody notices, nothing is lost, and what is lost is found."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from ops.balancer import balancers_of
from ops.daytwo import steps
from ops.daytwo.backup import back_up, plan_backup
from ops.daytwo.docker_disk import DockerDisk
from ops.daytwo.migrate import migrate, plan_migration, roll_back
from ops.daytwo.replace_node import Replacement
from ops.daytwo.restore import plan_restore, restore
from ops.daytwo.running import Running
from ops.daytwo.verify import verify
from ops.stack import OperatorError
from qdrant_admin.points.client import Id, NodePoints, Point
from qdrant_admin.points.comparison import Entry
from qdrant_admin.points.equality import Checksum
from qdrant_admin.points.synchronisation import Pass, synchronise
from tests.live.clients import Clients
from tests.live.conftest import PREFIX, SLOT, LiveStack

pytestmark = pytest.mark.live

NAME, ALIAS, SIZE = "daytwo", "daytwo_alias", 8
SOURCE_PORT = 26399 + 1000 * SLOT


@pytest.fixture
def running(stack: LiveStack) -> Running:
    return Running.of(stack.outputs)


@pytest.fixture
def collection(running: Running) -> Iterator[str]:
    """A collection of its own, with an alias and a payload index."""
    node = running.nodes[0]
    body = {"vectors": {"size": SIZE, "distance": "Cosine"}, "shard_number": 3, "replication_factor": 2}
    node.create_collection(NAME, body, 120)
    node.create_index(NAME, "n", "integer", 60)
    node.points(NAME).upsert([made(i) for i in range(500)])
    node.point_aliases({ALIAS: NAME})
    yield NAME
    for name in node.collections():
        if name.startswith(NAME):
            node.delete_collection(name, 60)


def made(number: int) -> Point:
    vector = [float((number * k) % 97 + 1) for k in range(1, SIZE + 1)]
    return {"id": number, "vector": vector, "payload": {"n": number}}


def checksum(node: NodePoints, name: str) -> str:
    found = Checksum()
    for each in node.points(name):
        found.add(each)
    return f"{found.points} {found}"


def test_a_collection_that_was_deleted_comes_back_as_it_was(
    stack: LiveStack, running: Running, collection: str, tmp_path: Path
) -> None:
    node = running.nodes[0]
    before, schema = checksum(node, collection), (node.collection(collection) or {})["payload_schema"]
    back_up(running, plan_backup(running, [collection]), tmp_path / "backup", stack.console)
    node.delete_collection(collection, 60)
    assert ALIAS not in node.aliases()
    for planned in plan_restore(running, tmp_path / "backup", collection):
        restore(running, planned, stack.console)
    assert {checksum(each, ALIAS) for each in running.nodes} == {before}
    assert (node.collection(collection) or {})["payload_schema"].keys() == schema.keys()
    assert verify(running, collection, None, stack.console).findings == []


def test_a_replaced_collection_is_never_seen_empty(
    stack: LiveStack, running: Running, collection: str, tmp_path: Path
) -> None:
    back_up(running, plan_backup(running, [collection]), tmp_path / "backup", stack.console)
    counts: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            counts.add(running.nodes[1].points(ALIAS).count())

    reader = threading.Thread(target=read)
    reader.start()
    for planned in plan_restore(running, tmp_path / "backup", collection, replace=True):
        restore(running, planned, stack.console)
    stop.set()
    reader.join()
    assert counts == {500}
    assert running.nodes[0].aliases()[ALIAS] != collection


def test_verify_finds_a_point_that_was_acknowledged_and_is_gone(
    stack: LiveStack, running: Running, collection: str
) -> None:
    ledger = [Entry(id=i, vector=made(i)["vector"]) for i in range(500)]
    assert verify(running, collection, ledger, stack.console).findings == []
    running.nodes[0].points(collection).delete([123])
    found = verify(running, collection, ledger, stack.console).findings
    assert [(finding.id, finding.what) for finding in found] == [(123, "missing")] * 3
    assert {finding.place for finding in found} == set(running.node_urls)


@contextmanager
def single_node(stack: LiveStack) -> Iterator[NodePoints]:
    """A Qdrant without a cluster, as most begin with, of the same image as the stack's."""
    key = stack.outputs["qdrantApiKey"]
    container = stack.engine.containers.run(
        stack.container("qdrant-0").image.id,
        ["./qdrant"],
        name=f"{PREFIX}-single",
        environment={"QDRANT__SERVICE__API_KEY": key},
        ports={"6333/tcp": ("127.0.0.1", SOURCE_PORT)},
        detach=True,
    )
    try:
        url = f"http://127.0.0.1:{SOURCE_PORT}"
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert time.monotonic() < deadline, container.logs(tail=5)
            time.sleep(0.2)
        yield NodePoints(url, key)
    finally:
        container.remove(force=True)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


def test_a_single_node_moves_in_while_it_is_written_to(
    stack: LiveStack, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.daytwo.journal.STATE", tmp_path)
    other = {"vector_size": SIZE, "shard_number": 3, "alias": f"{NAME}_moved"}
    declared = stack.files.settings().collection.model_copy(update=other)
    with single_node(stack) as source:
        source.create_collection("old", {"vectors": {"size": SIZE, "distance": "Cosine"}}, 60)
        source.points("old").upsert([made(i) for i in range(2000)])
        written: list[Id] = []
        copied_once, passes = threading.Event(), count()

        def write() -> None:
            for i in count(10_000):
                if copied_once.is_set():
                    return
                source.points("old").upsert([made(i)])
                written.append(i)

        def synchronise_under_writes(*args: Any) -> Pass:
            """The source is written to during the whole first pass, and comes to rest before the second."""
            if next(passes) == 1:
                copied_once.set()
                writer.join()
            return synchronise(*args)

        monkeypatch.setattr("ops.daytwo.migrate.synchronise", synchronise_under_writes)
        writer = threading.Thread(target=write)
        planned = plan_migration(running, source, "old", declared, target=f"{NAME}_new", read_by_the_service=False)
        writer.start()
        said = migrate(running, planned, stack.outputs["qdrantApiKey"], stack.console)
        assert written
        assert "the same" in said
        assert {checksum(node, f"{NAME}_moved") for node in running.nodes} == {checksum(source, "old")}
        assert running.nodes[0].points(f"{NAME}_moved").retrieve(written).keys() == set(written)
    assert "serves nothing again" in roll_back(running, f"{NAME}_moved")
    running.nodes[0].delete_collection(f"{NAME}_new", 60)


def replacement(stack: LiveStack, running: Running, node: int) -> Replacement:
    disk = DockerDisk(engine=stack.engine, prefix=PREFIX, ordinal=node)
    balancers = balancers_of(stack.outputs)
    return Replacement(files=stack.files, running=running, balancers=balancers, disk=disk, console=stack.console)


def test_a_node_that_lives_or_is_only_stopped_is_not_replaced(stack: LiveStack, running: Running) -> None:
    with pytest.raises(OperatorError, match="lives and that no copy is missing"):
        replacement(stack, running, 1).steps()
    stack.container("qdrant-1").kill()
    try:
        with pytest.raises(OperatorError, match="make up REFRESH=1 starts it"):
            replacement(stack, running, 1).steps()
    finally:
        stack.container("qdrant-1").start()


def test_a_node_whose_disk_is_lost_is_replaced_and_no_reader_notices(stack: LiveStack, running: Running) -> None:
    with Clients(stack) as going:
        going.settle_in()
        lost = replacement(stack, running, 1)
        peers = set(running.views()[0].cluster["peers"])  # type: ignore[index]
        lost.disk.give_up()
        steps.take(lost.steps(), stack.console)
    assert going.failed_reads == []
    assert len(set(running.views()[0].cluster["peers"]) - peers) == 1  # type: ignore[index]
    assert going.lost() == set()
    assert verify(running, stack.outputs["collection"], None, stack.console).findings == []
    assert not lost.disk.diagnose()
    founding = stack.container("qdrant-1").exec_run(["test", "-e", "/qdrant/storage/may-found"])
    assert founding.exit_code == 1, "a node that was emptied may not found a cluster"
