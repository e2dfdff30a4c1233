"""Orphans of an interrupted run are removed; what is recorded, or of another stack, stays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from access.kong import AdminApi
from ops.orphans import lost_entities, remove_orphan_containers, remove_orphan_entities
from tests.unit.served import Answer, Asked, served

PREFIX = "rag-dev"
OURS = {"rag-platform": PREFIX}


@dataclass
class FakeThing:
    """A container or a network of a fake engine."""

    id: str
    name: str
    labels: Mapping[str, str]
    among: list["FakeThing"]
    running: bool = True
    attached_to: str = ""
    holds: list["FakeThing"] = field(default_factory=list)  # containers that may still be attached

    def remove(self, force: bool = False) -> None:
        assert force or not self.running, "a running container goes by force only"
        assert not [thing for thing in self.holds if thing.attached_to == self.name], "network has active endpoints"
        self.among.remove(self)


class FakeEngine:
    """Containers and networks; there are no volumes to be had from it."""

    def __init__(self) -> None:
        self.made_containers: list[FakeThing] = []
        self.made_networks: list[FakeThing] = []
        self.containers = SimpleNamespace(list=self._containers)
        self.networks = SimpleNamespace(list=self._networks)

    def container(self, name: str, labels: Mapping[str, str] = OURS, **more: Any) -> None:
        self.made_containers.append(FakeThing(f"id-{name}", name, labels, self.made_containers, **more))

    def network(self, name: str, labels: Mapping[str, str] = OURS) -> None:
        attached = self.made_containers
        self.made_networks.append(FakeThing(f"id-{name}", name, labels, self.made_networks, False, holds=attached))

    def left(self) -> list[str]:
        return [thing.name for thing in self.made_containers + self.made_networks]

    def _containers(self, *, filters: Mapping[str, str], all: bool = False) -> list[FakeThing]:
        return [thing for thing in _labelled(self.made_containers, filters) if thing.running or all]

    def _networks(self, *, filters: Mapping[str, str]) -> list[FakeThing]:
        return _labelled(self.made_networks, filters)


def _labelled(things: list[FakeThing], filters: Mapping[str, str]) -> list[FakeThing]:
    key, _, value = filters["label"].partition("=")
    return [thing for thing in things if thing.labels.get(key) == value]


def recorded(*ids: str) -> list[dict[str, Any]]:
    """A state that knows these ids, and a component, which has none."""
    return [{"urn": "urn:pulumi:dev::rag-platform::rag:components:QdrantCluster::qdrant"}, *({"id": i} for i in ids)]


def test_a_container_that_is_not_in_the_state_is_removed_stopped_or_not() -> None:
    engine = FakeEngine()
    engine.container("rag-dev-qdrant-0")
    engine.container("rag-dev-qdrant-1")
    engine.container("rag-dev-kong-migrations", running=False)
    engine.network(PREFIX)
    removed = remove_orphan_containers(engine, PREFIX, recorded("id-rag-dev-qdrant-0", f"id-{PREFIX}"))
    assert removed == ["rag-dev-qdrant-1", "rag-dev-kong-migrations"]
    assert engine.left() == ["rag-dev-qdrant-0", PREFIX]


def test_an_orphan_network_is_removed_after_the_containers_on_it() -> None:
    engine = FakeEngine()
    engine.network(PREFIX)
    engine.container("rag-dev-qdrant-0", attached_to=PREFIX)
    assert remove_orphan_containers(engine, PREFIX, []) == ["rag-dev-qdrant-0", f"network {PREFIX}"]
    assert engine.left() == []


def test_objects_of_another_stack_stay() -> None:
    engine = FakeEngine()
    engine.container("rag-dev-of-somebody", {})
    engine.container("rag-dev-2-qdrant-0", {"rag-platform": "rag-dev-2"})
    engine.network("rag-dev-net", {})
    assert remove_orphan_containers(engine, PREFIX, []) == []
    assert len(engine.left()) == 3


@dataclass
class FakeKong:
    """An Admin API that gives pages of a hundred unless asked for more, and keeps what is still named by another."""

    entities: dict[str, list[dict[str, Any]]]
    url: str = ""

    @property
    def admin(self) -> AdminApi:
        return AdminApi(url=self.url, token="let-me-in")

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("kong-admin-token") != "let-me-in":
            return Answer(401, {"message": "expected the header Kong-Admin-Token"})
        kind, wanted = asked.path.strip("/"), ""
        if asked.method == "DELETE":
            kind, _, wanted = kind.rpartition("/")
        if asked.method == "GET" and kind not in self.entities:
            return Answer(404, {"message": "Not found"})
        if asked.method == "GET":
            size = int(asked.query.get("size", ["100"])[0])
            return Answer(200, {"data": self.entities[kind][:size], "next": None})
        if kind == "services" and [r for r in self.entities["routes"] if r["service"]["id"] == wanted]:
            return Answer(400, {"message": "an existing 'routes' entity references this 'services' entity"})
        self.entities[kind] = [entity for entity in self.entities[kind] if entity["id"] != wanted]
        return Answer(204, "")

    def left(self) -> set[str]:
        return {entity["id"] for entities in self.entities.values() for entity in entities}


@pytest.fixture
def kong() -> Iterator[FakeKong]:
    """One service with its route and plugin of the state, and the same again of an interrupted run."""
    kong = FakeKong(
        {
            "routes": [{"id": f"route-{n}", "name": f"search-{n}", "service": {"id": f"service-{n}"}} for n in (1, 2)],
            "plugins": [{"id": f"plugin-{n}", "name": "jwt", "service": {"id": f"service-{n}"}} for n in (1, 2)],
            "services": [{"id": f"service-{n}", "name": f"rag-{n}"} for n in (1, 2)],
            "upstreams": [{"id": "upstream-1", "name": "rag.upstream"}],
            "consumers": [{"id": "consumer-1", "username": "known"}, {"id": "consumer-2", "username": "rag-client"}],
        }
    )
    with served(kong.answer) as kong.url:
        yield kong


KNOWN = {"route-1", "plugin-1", "service-1", "upstream-1", "consumer-1"}


def test_entities_that_are_not_in_the_state_are_removed_dependents_first(kong: FakeKong) -> None:
    removed = remove_orphan_entities(kong.admin, recorded(*KNOWN))
    assert removed == ["routes/search-2", "plugins/jwt", "services/rag-2", "consumers/rag-client"]
    assert kong.left() == KNOWN


def test_orphans_below_a_recorded_owner_are_removed_too(kong: FakeKong) -> None:
    kong.entities["upstreams/upstream-1/targets"] = [{"id": "t1", "target": "rag:1"}, {"id": "t2", "target": "rag:2"}]
    kong.entities["consumers/consumer-1/jwt"] = [{"id": "j1", "key": "old"}, {"id": "j2", "key": "new"}]
    kong.entities["consumers/consumer-1/acls"] = [{"id": "a1", "group": "old"}, {"id": "a2", "group": "staff"}]
    known = (KNOWN | {"route-2", "plugin-2", "service-2", "consumer-2"}) | {"upstream-1/t1", "j1|consumer-1"}
    known |= {"a1|consumer-1"}
    assert remove_orphan_entities(kong.admin, recorded(*known)) == ["targets/rag:2", "jwt/new", "acls/staff"]
    assert {"t1", "j1", "a1"} <= kong.left()
    assert not {"t2", "j2", "a2"} & kong.left()


def test_nothing_is_removed_where_everything_is_recorded(kong: FakeKong) -> None:
    everything = kong.left()
    assert remove_orphan_entities(kong.admin, recorded(*everything)) == []
    assert kong.left() == everything


def test_orphans_behind_the_first_page_are_found(kong: FakeKong) -> None:
    kong.entities["consumers"] = [{"id": f"c{n}", "username": f"c{n}"} for n in range(150)]
    known = {f"c{n}" for n in range(149)} | KNOWN | {"route-2", "plugin-2", "service-2"}
    assert remove_orphan_entities(kong.admin, recorded(*known)) == ["consumers/c149"]


def test_nothing_is_removed_where_no_gateway_answers() -> None:
    with served(lambda _: Answer(404, "<h1>another program</h1>")) as url:
        admin = AdminApi(url=url, token="")
        assert remove_orphan_entities(admin, []) == []
    assert remove_orphan_entities(admin, []) == []


def test_a_call_without_the_token_removes_nothing_and_finds_nothing_lost(kong: FakeKong) -> None:
    stranger = AdminApi(url=kong.url, token="")
    assert remove_orphan_entities(stranger, []) == []
    assert lost_entities(stranger, entities(*KNOWN)) == []


def entities(*ids: str) -> list[dict[str, Any]]:
    """What the state records of them, and of the stack's container and provider, which Kong knows nothing of."""
    others = [{"type": "docker:index/container:Container", "id": "c", "urn": "c"}]
    others += [{"type": "pulumi:providers:kong", "id": "p", "urn": "p"}]
    return [*others, *({"type": "kong:index/x:X", "id": each, "urn": f"urn-{each}"} for each in ids)]


def test_what_the_database_has_lost_is_found_below_its_owners_too(kong: FakeKong) -> None:
    kong.entities["upstreams/upstream-1/targets"] = [{"id": "t1", "target": "rag:1"}]
    kong.entities["consumers/consumer-1/acls"] = [{"id": "a1", "group": "staff"}]
    assert lost_entities(kong.admin, entities(*KNOWN, "upstream-1/t1", "a1|consumer-1")) == []
    kong.entities["upstreams/upstream-1/targets"] = []
    kong.entities["routes"] = []
    recorded = entities("service-1", "route-1", "upstream-1/t1", "jwt-1|consumer-1")
    assert lost_entities(kong.admin, recorded) == ["urn-route-1", "urn-upstream-1/t1", "urn-jwt-1|consumer-1"]


def test_an_empty_database_has_lost_everything_and_a_gateway_that_is_away_nothing(kong: FakeKong) -> None:
    kong.entities = {kind: [] for kind in kong.entities}
    assert lost_entities(kong.admin, entities(*KNOWN)) == [f"urn-{each}" for each in KNOWN]
    with served(lambda _: Answer(503, {"message": "no database"})) as url:
        assert lost_entities(AdminApi(url=url, token="let-me-in"), entities(*KNOWN)) == []
