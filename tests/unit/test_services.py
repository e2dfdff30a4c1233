"""Services of a stack file: what each may say, what is refused before anything is made, and what is made of it."""

import asyncio
from typing import Any

import pulumi
import pytest

from components.gateway.plugins import Cors, RateLimiting, RequestTransformer
from components.services.checks import service_mistakes
from components.services.entry import ServiceEntry
from components.services.references import Known, secret_names
from components.services.routing import gateway_of
from components.services.services import neighbours, service_workload
from ops.paths import ROOT
from platforms.workload import AllowedConnection, HttpProbe, ImageBuild
from policies.invariants import WITHOUT_TOKEN
from settings import Settings
from tests.unit.test_gateway_rag import settings

ROUTE = {"paths": ["/api/v1/notes"]}
NOTES = {"image": "you/notes:1.4.2", "port": 3000, "health": "/healthz", "routes": [ROUTE]}
KNOWN = {
    "qdrant.url": Known(value="http://haproxy:6333", connections=(AllowedConnection(name="haproxy", port=6333),)),
    "qdrant.readOnlyApiKey": Known(value="read-only", secret=True),
    "traces.url": Known(value="http://collector:4318", reaches_out=(4318,)),
}


def entries(**services: Any) -> dict[str, ServiceEntry]:
    return {name: ServiceEntry.model_validate(found) for name, found in services.items()}


def mistakes(platform: str = "docker", secrets: tuple[str, ...] = (), **services: Any) -> list[str]:
    return service_mistakes(entries(**services), platform=platform, secrets=secrets, flood_burst=200)


def test_a_service_becomes_what_its_entry_says() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())  # another test may have ended its own
    [entry] = entries(
        notes=NOTES
        | {
            "env": {"QDRANT": "${qdrant.url}/collections", "TRACES": "${traces.url}"},
            "secretFiles": {"/run/key": "${qdrant.readOnlyApiKey}"},
            "connectsTo": ["other:9000"],
            "graceSeconds": 7,
        }
    ).values()
    workload = service_workload(entry, KNOWN)
    assert (workload.image, workload.readiness) == ("you/notes:1.4.2", HttpProbe(port=3000, path="/healthz"))
    assert workload.env == {"QDRANT": "http://haproxy:6333/collections", "TRACES": "http://collector:4318"}
    assert workload.reaches_out == (4318,)
    assert {connection.address for connection in workload.connects_to} == {"haproxy:6333", "other:9000"}
    assert workload.grace_seconds == 7
    assert isinstance(workload.secret_files["/run/key"], pulumi.Output)


def test_a_service_finds_its_neighbours_wherever_they_run() -> None:
    found = neighbours(entries(here=NOTES, there={"at": ["api.example.org:443"], "tls": True}))
    assert (found["service.here.url"].value, found["service.here.address"].value) == ("http://here:3000", "here:3000")
    assert found["service.here.url"].connections == (AllowedConnection(name="here", port=3000),)
    assert (found["service.there.url"].value, found["service.there.url"].reaches_out) == (
        "https://api.example.org:443",
        (443,),
    )


def test_an_image_is_built_from_the_folder() -> None:
    [entry] = entries(notes={"build": "../our/Notes", "buildArgs": {"BASE": "node"}}).values()
    wanted = ImageBuild(name="rag-platform/notes", context="../our/Notes", build_args={"BASE": "node"})
    assert service_workload(entry, {}).image == wanted


def test_each_route_has_its_own_limits_and_shares_the_targets() -> None:
    routes = [
        ROUTE | {"rateLimitPerMinute": 7, "corsOrigins": ["https://app.example"], "corsHeaders": ["X-Tenant"]},
        {"paths": ["/live"], "streaming": True, "readTimeoutSeconds": 600, "serviceToken": False, "strip": True},
    ]
    gateway = gateway_of(settings(), entries(notes=NOTES | {"routes": routes}))
    first, second = gateway.services
    assert (first.name, second.name) == ("notes", "notes-1")
    assert len(gateway.upstreams) == 1
    assert gateway.upstreams[0].targets[0].address == "notes:3000"
    assert gateway.upstreams[0].healthchecks.active.http_path == "/healthz"
    [limit] = [plugin for plugin in first.plugins if isinstance(plugin, RateLimiting)]
    [cors] = [plugin for plugin in first.plugins if isinstance(plugin, Cors)]
    assert (limit.minute, cors.origins) == (7, ("https://app.example",))
    assert "X-Tenant" in (cors.headers or ())
    assert (second.read_timeout, second.tags) == (600_000, (WITHOUT_TOKEN,))
    [route] = second.routes
    assert (route.strip_path, route.response_buffering) == (True, False)
    [transformer] = [plugin for plugin in second.plugins if isinstance(plugin, RequestTransformer)]
    assert transformer.add.headers == ()
    assert "X-Service-Token" in transformer.remove.headers


def test_a_service_elsewhere_is_reached_by_tls_that_is_verified() -> None:
    [service] = gateway_of(
        settings(), entries(api={"at": ["api.example.org:443"], "tls": True, "routes": [ROUTE]})
    ).services
    assert (service.protocol, service.tls_verify) == ("https", True)
    assert service.upstream.healthchecks.active.type == "https"
    assert service.upstream.targets[0].address == "api.example.org:443"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image": "you/notes"}, "services.notes.image: expected one pinned"),
        ({"env": {"KEY": "${qdrant.apiKey}"}}, "services.notes.env.KEY: expected no secret in plain env"),
        ({"env": {"URL": "${qdrant.uri}"}}, "services.notes.env.URL: expected one of"),
        ({"env": {"URL": "${service.gone.url}"}}, "found 'service.gone.url'"),
        ({"secretFiles": {"/run/x": "${secret.openai}"}}, "pulumi config set --secret --path"),
        ({"connectsTo": ["gone:80"]}, "services.notes.connectsTo: expected a service of this stack, found 'gone'"),
        ({"replicas": 2, "publishedPort": 3000}, "services.notes.publishedPort: expected one replica"),
        ({"routes": [ROUTE | {"rateLimitPerMinute": 900}]}, "routes.0.rateLimitPerMinute: expected at most"),
    ],
)
def test_a_mistake_is_named_with_its_key(changes: dict[str, Any], expected: str) -> None:
    assert mistakes(notes=NOTES) == []
    [mistake] = mistakes(notes=NOTES | changes)
    assert expected in mistake


def test_a_name_of_the_platform_is_refused() -> None:
    assert "expected a name of its own, found kong" in mistakes(kong=NOTES)[0]


def test_a_loopback_address_is_refused_because_it_is_the_gateway_s_own() -> None:
    assert "host.docker.internal" in mistakes(ide={"at": ["127.0.0.1:3000"]})[0]


def test_routes_that_overlap_are_refused_and_others_are_not() -> None:
    reads = NOTES | {"routes": [ROUTE | {"methods": ["GET"]}]}
    writes = NOTES | {"routes": [{"paths": ["/api/v1/notes/"], "methods": ["POST"]}]}
    assert mistakes(reads=reads, writes=writes) == []
    assert "found /api/v1/notes (GET, HEAD, POST) at one too" in mistakes(one=NOTES, two=NOTES)[0]


def test_two_folders_of_one_name_are_refused() -> None:
    assert "their images would share a name" in mistakes(a={"build": "a/api"}, b={"build": "b/api"})[0]
    assert mistakes(a={"build": "a/api"}, b={"build": "a/api"}) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"build": "services/x"},
        {"at": ["x:1"], "networks": ["other"]},
        {"image": "a:1", "folders": {"/x": "x"}},
        {"at": ["host.docker.internal:3000"]},
    ],
)
def test_what_docker_alone_can_do_is_refused_on_kubernetes(entry: dict[str, Any]) -> None:
    assert mistakes(own=entry) == []
    assert len(mistakes("kubernetes", own=entry)) == 1


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"image": "a:1", "at": ["b:1"]},
        {"at": ["b:1"], "env": {"A": "b"}},
        {"image": "a:1", "tls": True},
        {"at": []},
    ],
)
def test_a_service_runs_in_one_place(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ServiceEntry.model_validate(entry)


def test_a_secret_is_named_where_it_is_used() -> None:
    found = entries(notes=NOTES | {"secretEnv": {"OPENAI_API_KEY": "${secret.openai}"}})
    assert secret_names(found) == ["openai"]
    assert mistakes(notes=NOTES | {"secretEnv": {"A": "${secret.openai}"}}, secrets=("openai",)) == []


def read(**overrides: Any) -> Settings:
    return Settings.from_file(ROOT / "Pulumi.dev.yaml", overrides)


def test_an_entry_takes_the_place_of_a_role_of_the_reference_service() -> None:
    assert set(read().services) == {"rag-service", "rag-llamaindex-query", "rag-ingest"}
    mine = {"rag-service": {"at": ["host.docker.internal:3000"], "routes": [{"paths": ["/api/v1/rag"]}]}}
    assert read(services=mine).services["rag-service"].at == ("host.docker.internal:3000",)
    assert set(read(services=mine, ragEnabled=False).services) == {"rag-service"}


def test_all_mistakes_of_all_services_are_named_at_once() -> None:
    wrong = {"Notes": NOTES, "notes": NOTES | {"port": 70000, "routes": [{"paths": ["notes"]}], "colour": "red"}}
    with pytest.raises(pulumi.RunError) as refused:
        read(services=wrong)
    for key in ("services.Notes", "services.notes.port", "services.notes.routes.0.paths.0", "services.notes.colour"):
        assert key in str(refused.value)


def test_two_published_ports_clash() -> None:
    with pytest.raises(pulumi.RunError, match=r"services\.notes\.publishedPort: port 8000 is already taken"):
        read(services={"notes": NOTES | {"publishedPort": 8000}})


@pytest.mark.parametrize(
    "probe", [{"path": "/elsewhere"}, {"path": "/api/v1/notes", "method": "DELETE"}, {"path": "/api"}]
)
def test_a_probe_calls_what_a_route_takes(probe: dict[str, Any]) -> None:
    route = {"paths": ["/api/v1/notes"]}
    assert mistakes(notes=NOTES | {"routes": [route], "probe": {"path": "/api/v1/notes/7"}}) == []
    [mistake] = mistakes(notes=NOTES | {"routes": [route], "probe": probe})
    assert mistake.startswith("services.notes.probe: expected a method and a path that one of its routes takes")
