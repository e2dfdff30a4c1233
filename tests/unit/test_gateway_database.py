"""What reaches the engine when the gateway goes into Kong's database: order, secrets, whole configurations."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_kong as kong
import pytest
from pulumi.runtime import mocks, rpc

from components.gateway.entities import AdminApi, publish, span_seconds, update_env
from components.gateway.plugins import Jwt
from components.services.routing import gateway_of
from tests.unit.test_gateway_rag import REFERENCE, SECRETS, settings

ALL_SECRETS = SECRETS | {"canary-token": "canary".ljust(32, "x")}
OURS = gateway_of(settings(jwt_keys=["rag-client-2", "rag-client-1"]), REFERENCE)
PLUGINS = {
    "Plugin global-prometheus",
    "Plugin rag-service-cors",
    "Plugin rag-service-jwt",
    "Plugin rag-service-rate-limiting",
    "Plugin rag-service-request-size-limiting",
    "Plugin rag-service-request-transformer",
}
CANARY, GATE, PUBLIC = "Route rag-service-canary", "Guarded rag-service", "Route rag-api"
KONG_IS_READY = "Consumer ready"  # what stands for the migrated, running Kong that the gateway is put into


class Engine(mocks.Mocks):
    """Makes what it is asked for."""

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"id-of-{args.name}", args.inputs


class Recorder(mocks.MockMonitor):
    """Keeps each request to the engine as `<last word of its type> <name>`."""

    def __init__(self) -> None:
        super().__init__(Engine())
        self.asked: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name for it
        self.asked[f"{request.type.rpartition(':')[2]} {request.name}"] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def inputs(self, key: str) -> dict[str, Any]:
        return dict(rpc.deserialize_properties(self.asked[key].object))

    def before(self, key: str) -> set[str]:
        """Everything that must be there before the resource is made, near or far."""
        parts = [urn.split("::") for urn in self.asked[key].dependencies]
        near = {f"{types.rpartition(':')[2]} {name}" for _, _, types, name in parts}
        return near.union(*(self.before(name) for name in near))


@pytest.fixture(scope="module")
def asked() -> Recorder:
    """Our gateway, published with two keys, and with secrets that nobody marked as such."""
    return record(ALL_SECRETS)


def record(secrets: Mapping[str, str]) -> Recorder:
    recorder = Recorder()
    mocks.set_mocks(Engine(), project="rag-platform", stack="test", preview=False, monitor=recorder)

    @mocks.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[Any]:
        provider = kong.Provider("kong", kong_admin_uri="http://127.0.0.1:8001")
        ready = kong.Consumer("ready", opts=pulumi.ResourceOptions(provider=provider))
        api = AdminApi(
            parent=pulumi.ComponentResource("test:Parent", "parent"),
            provider=provider,
            secrets=secrets,
            proxy_urls=["http://127.0.0.1:8000"],
            span_seconds=3,
            after=[ready],
        )
        return pulumi.Output.all(*(resource.urn for resource in publish(OURS, api)))

    program()
    return recorder


def test_a_public_route_is_made_last_after_a_gate_that_saw_every_plugin_at_work(asked: Recorder) -> None:
    assert GATE in asked.before(PUBLIC)
    assert CANARY in asked.before(GATE)
    assert asked.before(CANARY) >= PLUGINS
    assert not {GATE, PUBLIC} & asked.before(CANARY)


def test_the_service_is_complete_before_its_route(asked: Recorder) -> None:
    assert {"Service rag-service", "Upstream rag-service.upstream", "Target rag-service:3000"} <= asked.before(PUBLIC)


def test_every_entity_is_a_child_of_the_component_and_goes_through_its_provider(asked: Recorder) -> None:
    entities = {key: request for key, request in asked.asked.items() if request.type.startswith("kong:")}
    assert PLUGINS | {CANARY, PUBLIC, "Consumer rag-client"} <= set(entities)
    for key in (*entities.keys() - {KONG_IS_READY}, GATE):
        assert asked.asked[key].parent.endswith("test:Parent::parent")
        assert KONG_IS_READY in asked.before(key)
    for request in entities.values():
        assert "::kong::id-of-kong" in request.provider


def test_a_plugin_is_sent_whole_so_that_a_change_by_hand_is_seen(asked: Recorder) -> None:
    sent = asked.inputs("Plugin rag-service-jwt")
    [jwt] = [plugin for plugin in OURS.services[0].plugins if isinstance(plugin, Jwt)]
    expected = jwt.config()
    assert json.loads(sent["configJson"]) == expected
    assert sent["configJson"] == json.dumps(expected, sort_keys=True, separators=(",", ":"))
    for plugin in PLUGINS:
        assert asked.inputs(plugin)["strictMatch"] is True
        assert asked.inputs(plugin)["enabled"] is True
        assert list(asked.asked[plugin].additionalSecretOutputs) == ["computedConfig"]


def test_a_plugin_is_never_away_while_its_successor_is_made(asked: Recorder) -> None:
    for key, request in asked.asked.items():
        if ":Parent" in request.parent and key != GATE:
            assert request.deleteBeforeReplaceDefined
            assert request.deleteBeforeReplace is (key not in PLUGINS)


def test_defaults_that_matter_are_sent(asked: Recorder) -> None:
    route, service = asked.inputs(PUBLIC), asked.inputs("Service rag-service")
    assert (route["stripPath"], route["protocols"], route["paths"]) == (False, ["http", "https"], ["/api/v1/rag"])
    assert (service["retries"], service["host"], service["port"]) == (2, "rag-service.upstream", 80)
    checks = asked.inputs("Upstream rag-service.upstream")["healthchecks"]
    assert checks["active"]["healthy"] == {"interval": 1, "httpStatuses": [200, 204], "successes": 2}
    assert checks["passive"]["unhealthy"]["httpFailures"] == 5


def test_a_key_is_never_sent_with_an_empty_field(asked: Recorder) -> None:
    for key in ("rag-client-1", "rag-client-2"):
        sent = asked.inputs(f"ConsumerJwtAuth {key}")
        assert (sent["key"], sent["algorithm"], sent["secret"]["value"]) == (key, "HS256", ALL_SECRETS[f"jwt-{key}"])
        assert sent["rsaPublicKey"]


def plain_texts(value: Any) -> Iterator[str]:
    """Every text in the inputs that the engine would write down as it is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from plain_texts(item)
    elif isinstance(value, dict) and not rpc.is_rpc_secret(value):
        for item in value.values():
            yield from plain_texts(item)


def test_no_secret_is_sent_in_plain_text(asked: Recorder) -> None:
    texts = [text for key in asked.asked for text in plain_texts(asked.inputs(key))]
    assert "rag-service" in texts
    assert [text for text in texts if any(secret in text for secret in ALL_SECRETS.values())] == []


def test_the_secrets_are_there_all_the_same(asked: Recorder) -> None:
    sent = json.dumps([asked.inputs(key) for key in asked.asked])
    assert [name for name, secret in ALL_SECRETS.items() if secret not in sent] == []


def test_a_missing_secret_stops_the_program_before_its_route(asked: Recorder) -> None:
    secrets = {name: value for name, value in ALL_SECRETS.items() if name != "service-token"}
    with pytest.raises(ValueError, match="found none for \\['service-token'\\]"):
        record(secrets)


def test_the_gate_watches_for_longer_than_a_worker_takes_to_look_for_changes() -> None:
    chosen = settings(update_seconds=5)
    assert update_env(chosen)["KONG_WORKER_STATE_UPDATE_FREQUENCY"] == "5"
    assert span_seconds(chosen) > 2 * 5
