"""What reaches the engine when the gateway goes into Kong's database: order, secrets, whole configurations."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kong as kong
import pytest
from pulumi.runtime import mocks, rpc

from components.gateway import declarative
from components.gateway.database import AdminApi, publish, span_seconds, update_env
from components.gateway.description import Gateway
from components.gateway.rag import rag_gateway
from tests.unit.test_gateway_rag import SECRETS, settings

ALL_SECRETS = SECRETS | {"canary-token": "canary".ljust(32, "x")}


class Engine(mocks.Mocks):
    """Makes what it is asked for."""

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"id-of-{args.name}", args.inputs


class Recorder(mocks.MockMonitor):
    """Keeps each request to the engine, by the name of the resource and its type's last word."""

    def __init__(self) -> None:
        super().__init__(Engine())
        self.asked: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name for it
        self.asked[f"{request.type.rpartition(':')[2]} {request.name}"] = request
        return super().RegisterResource(request)

    def inputs(self, key: str) -> dict[str, Any]:
        return dict(rpc.deserialize_properties(self.asked[key].object))

    def before(self, key: str) -> set[str]:
        """Everything that must be there before the resource is made, near or far."""
        names = {f"{urn.split('::')[2].rpartition(':')[2]} {urn.rpartition('::')[2]}" for urn in self.urns(key)}
        return names.union(*(self.before(name) for name in names if name in self.asked))

    def urns(self, key: str) -> set[str]:
        return set(self.asked[key].dependencies)


def record(gateway: Gateway, secrets: dict[str, str] = ALL_SECRETS) -> Recorder:
    recorder = Recorder()
    mocks.set_mocks(Engine(), project="rag-platform", stack="test", preview=False, monitor=recorder)

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        api = AdminApi(
            parent=pulumi.ComponentResource("test:Parent", "parent"),
            provider=kong.Provider("kong", kong_admin_uri="http://127.0.0.1:8001"),
            secrets={name: pulumi.Output.secret(value) for name, value in secrets.items()},
            proxy_urls=["http://127.0.0.1:8000"],
            span_seconds=3,
        )
        return pulumi.Output.all(*(resource.urn for resource in publish(gateway, api)))

    program()
    return recorder


@pytest.fixture(scope="module")
def asked() -> Recorder:
    return record(rag_gateway(settings(jwt_keys=["rag-client-2", "rag-client-1"]), ("rag-service:3000",)))


PLUGINS = {
    f"plugin:Plugin {name}"
    for name in (
        "global-prometheus",
        "rag-service-cors",
        "rag-service-jwt",
        "rag-service-rate-limiting",
        "rag-service-request-transformer",
    )
}
CANARY, GATE, PUBLIC = "route:Route rag-service-canary", "providers:Guarded rag-service", "route:Route rag-api"


def short(names: set[str]) -> set[str]:
    return {name.rpartition("/")[2] for name in names}


def find(recorder: Recorder, ending: str) -> str:
    (key,) = (key for key in recorder.asked if key.rpartition("/")[2].endswith(ending.rpartition(":")[2]))
    return key


def test_a_public_route_is_made_after_the_gate_and_the_gate_after_every_plugin(asked: Recorder) -> None:
    names = {key: key.split(" ") for key in asked.asked}
    print(names)
    print({key: asked.urns(key) for key in asked.asked})
