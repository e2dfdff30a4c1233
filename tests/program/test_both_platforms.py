"""The promises of a Workload, asked of both platforms by the real program."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from providers.job_once import JobOnceProvider
from providers.one_shot import OneShotProvider
from tests.program.engine import Engine, Request

NODES = ["qdrant-0", "qdrant-1", "qdrant-2"]


class Observed(Protocol):
    """What a test looks at, in words that both platforms have."""

    engine: Engine

    def disk_of(self, replica: str) -> Request: ...

    def starter_of(self, replica: str) -> Request: ...

    def stopper_of(self, replica: str) -> tuple[Request, str]: ...

    def called(self, replica: str) -> set[str]: ...

    def visible(self) -> list[Any]: ...

    def files_of(self, name: str) -> list[Request]: ...


class OnDocker:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def disk_of(self, replica: str) -> Request:
        return self.engine.one(replica, "volume:Volume")

    def starter_of(self, replica: str) -> Request:
        return self.engine.one(replica, "container:Container")

    def stopper_of(self, replica: str) -> tuple[Request, str]:
        return self.starter_of(replica), "before_delete"

    def called(self, replica: str) -> set[str]:
        inputs = self.starter_of(replica).inputs
        return {inputs["hostname"], *inputs["networksAdvanced"][0]["aliases"]}

    def visible(self) -> list[Any]:
        keys = ("envs", "command", "entrypoints", "labels")
        return [request.raw.get(key) for request in self.engine.of("container:Container") for key in keys]

    def files_of(self, name: str) -> list[Request]:
        return [self.starter_of(f"{name}-0")]


class OnKubernetes:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def disk_of(self, replica: str) -> Request:
        return self.engine.one(f"data-{replica}", ":PersistentVolumeClaim")

    def starter_of(self, replica: str) -> Request:
        return self.engine.one(rolled(replica), ":PodRolled")

    def stopper_of(self, replica: str) -> tuple[Request, str]:
        return self.starter_of(replica), "before_update"

    def called(self, replica: str) -> set[str]:
        name, _, ordinal = replica.rpartition("-")
        spec = self.engine.one(name, ":StatefulSet").inputs["spec"]
        front = self.engine.one(name, ":Service").inputs["spec"]["selector"]
        assert int(ordinal) < spec["replicas"]
        assert self.engine.one(spec["serviceName"], ":Service").inputs["spec"]["publishNotReadyAddresses"]
        assert front.items() <= spec["template"]["metadata"]["labels"].items()
        return {name, f"{name}-{ordinal}"}

    def visible(self) -> list[Any]:
        kinds = (":Deployment", ":StatefulSet", ":Job", ":ConfigMap")
        return [request.raw for kind in kinds for request in self.engine.of(kind)]

    def files_of(self, name: str) -> list[Request]:
        return [self.engine.one(f"{name}-secret-files", ":Secret")]


def rolled(replica: str) -> str:
    name, _, ordinal = replica.rpartition("-")
    return f"{name}-rolled-{ordinal}"


@pytest.fixture(params=["dev", "prod"])
def observed(request: pytest.FixtureRequest) -> Observed:
    engine: Engine = request.getfixturevalue(request.param)
    return OnDocker(engine) if request.param == "dev" else OnKubernetes(engine)


def test_every_provider_is_named(observed: Observed) -> None:
    of_its_own = ("pulumi:providers:", "pulumi-python:dynamic")
    custom = [request for request in observed.engine.requests if request.wire.custom]
    assert [r.urn for r in custom if not r.wire.provider and not r.type.startswith(of_its_own)] == []


def test_every_resource_has_a_component_as_its_parent(observed: Observed) -> None:
    orphans = [r.name for r in observed.engine.requests if r.wire.custom and "pulumi:pulumi:Stack::" in r.parent]
    assert orphans == []


def test_replica_n_is_called_name_n(observed: Observed) -> None:
    for replica in NODES:
        assert observed.called(replica) == {"qdrant", replica}


def test_each_replica_has_a_disk_of_its_own(observed: Observed) -> None:
    assert len({observed.disk_of(replica).urn for replica in NODES}) == 3


def test_a_node_waits_for_the_node_before_it_to_settle(observed: Observed) -> None:
    for before, replica in enumerate(NODES[1:]):
        assert observed.engine.one(f"qdrant-settled-{before}").urn in observed.starter_of(replica).depends_on
        assert observed.starter_of(NODES[before]).urn in observed.engine.one(f"qdrant-settled-{before}").depends_on


def test_a_node_is_drained_before_it_is_stopped(observed: Observed) -> None:
    for ordinal, replica in enumerate(NODES):
        request, moment = observed.stopper_of(replica)
        assert list(getattr(request.wire.hooks, moment)) == [f"qdrant-drain-{ordinal}"]


def test_the_permission_to_found_comes_before_any_gate_opens_and_is_never_given_again(observed: Observed) -> None:
    founding = observed.engine.one("qdrant-founding")
    providers: Mapping[str, Any] = {"OneShot": OneShotProvider(), "JobOnce": JobOnceProvider()}
    provider = providers[founding.type.rpartition(":")[2]]
    changed = {**founding.inputs, "image": "another", "manifest": {}}
    assert not provider.diff("", dict(founding.inputs), changed).changes
    assert founding.urn in _before(observed, observed.starter_of(NODES[0]))


def test_what_is_protected_depends_on_nothing_that_runs(observed: Observed) -> None:
    running = ("container:Container", ":Deployment", ":StatefulSet", ":PodRolled", ":Job")
    runs = {
        request.urn for kind in running for request in observed.engine.of(kind) if request.inputs.get("mustRun", True)
    }
    for request in observed.engine.requests:
        if request.wire.protect:
            assert not _before(observed, request) & runs, request.name


def test_disks_and_secrets_are_protected(observed: Observed) -> None:
    kept = {request.name for request in observed.engine.requests if request.wire.protect}
    assert {observed.disk_of(replica).name for replica in NODES} | {"qdrantApiKey", "haproxyPassword"} <= kept


def test_secrets_travel_in_marked_files_only(observed: Observed) -> None:
    assert "made-" not in json.dumps(observed.visible())
    for name in ("qdrant", "haproxy", "grafana"):
        for request in observed.files_of(name):
            key = "uploads" if "uploads" in request.inputs else "stringData"
            assert "made-" in json.dumps(request.inputs[key])
            assert request.is_secret(key)


def test_the_collection_goes_with_the_disks_that_hold_it_and_waits_for_the_last_node(observed: Observed) -> None:
    collection = observed.engine.one("collection")
    assert collection.wire.deletedWith == observed.disk_of(NODES[0]).urn
    assert observed.engine.one("qdrant-settled-2").urn in collection.depends_on


def test_nothing_that_depends_on_a_node_starts_before_it_has_settled(observed: Observed) -> None:
    starter = {"dev": ("haproxy-0", ":Container"), "prod": ("haproxy", ":Deployment")}
    name, kind = starter["dev" if isinstance(observed, OnDocker) else "prod"]
    assert observed.engine.one("qdrant-settled-2").urn in _before(observed, observed.engine.one(name, kind))


def _before(observed: Observed, request: Request) -> set[str]:
    """All that a resource waits for, directly or through others."""
    by_urn = {each.urn: each for each in observed.engine.requests}
    found: set[str] = set()
    ahead = list(request.depends_on)
    while ahead:
        if (urn := ahead.pop()) not in found and urn in by_urn:
            found.add(urn)
            ahead += by_urn[urn].depends_on
    return found
