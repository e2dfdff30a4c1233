"""A short chaos run, judged as the long one is: faults that nobody may notice, and a platform that must be caught."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proof.experiments.experiment import Experiment, named
from proof.experiments.runner import Runner
from proof.experiments.scenarios import SCENARIOS
from proof.report.report import Section
from proof.targets.cluster_audit import audit
from proof.targets.docker_target import DockerTarget
from proof.targets.readiness import cluster_of
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger, read
from proof.traffic.vectors import fingerprint, signs
from qdrant_admin.api import QdrantApi
from slo.promises import Promises
from tests.live.clients import wait_until_settled
from tests.live.conftest import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.slow]
GENTLE = Pace(read=15, search=4, ask=1, write=3, connections=10, baseline_seconds=6)
NOISE = ("p99", "worst read")  # of a busy machine: judged by `make chaos`, where nothing else runs
UNREPLICATED = "proof_unreplicated"


@pytest.fixture(scope="module")
def chaos(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Runner[DockerTarget]:
    """On a gateway that trusts the client addresses this machine names: the run is many clients."""
    stack.target.trust_forwarded_addresses()
    return Runner(stack.target, GENTLE, Promises.read(), tmp_path_factory.mktemp("chaos"), print)


def broken(section: Section) -> list[str]:
    return [
        f"{verdict.promise}: {verdict.found}"
        for verdict in section.verdicts
        if not verdict.kept and not any(word in verdict.promise for word in NOISE)
    ]


def shortly(name: str) -> Experiment[DockerTarget]:
    """The scenario, with its fault over sooner."""
    [scenario] = named(SCENARIOS, name)
    return replace(scenario, lasts_seconds=7)


@pytest.mark.parametrize("name", ["kill-leader", "wipe-follower"])
def test_a_fault_is_noticed_by_nobody_and_leaves_nothing_written(chaos: Runner[DockerTarget], name: str) -> None:
    [section] = chaos.run([shortly(name)])
    assert broken(section) == []
    written = list(read(chaos.folder / f"{name}.jsonl"))
    assert cluster_of(chaos.target.stack).points.retrieve(written, with_vector=False) == {}


def test_a_lost_point_is_found(stack: LiveStack, tmp_path: Path) -> None:
    cluster, size = cluster_of(stack), stack.settings.collection.vector_size
    never_written = 2**52 + 1
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.acknowledge({never_written: fingerprint(signs(never_written, size))})
        assert audit(cluster, ledger.entries).lost == {never_written}


@pytest.fixture
def without_copies(stack: LiveStack) -> Iterator[LiveStack]:
    """The same stack as if it served a collection of which every shard stands on one node only."""
    api = QdrantApi(stack.outputs["qdrantUrl"], stack.outputs["qdrantApiKey"], timeout_seconds=60)
    size = stack.settings.collection.vector_size
    body = {"vectors": {"size": size, "distance": "Cosine"}, "shard_number": 6, "replication_factor": 1}
    api.create_collection(UNREPLICATED, body, 60)
    bare = replace(stack, files=stack.files.with_config(collectionReplicationFactor=1))
    vars(bare)["outputs"] = stack.outputs | {"collection": UNREPLICATED, "physicalCollection": UNREPLICATED}
    yield bare
    api.delete_collection(UNREPLICATED, 60)
    wait_until_settled(stack)


def test_the_same_fault_breaks_the_promises_where_there_is_no_second_copy(
    chaos: Runner[DockerTarget], without_copies: LiveStack
) -> None:
    """The harness must catch a platform that does not keep what this one promises."""
    [section] = replace(chaos, target=without_copies.target).run([shortly("kill-follower")])
    assert not section.kept
    assert any(reason.startswith("reads: failed calls") for reason in broken(section)), broken(section)
