"""A recording engine: the real program runs on it, and every request it makes of the engine is kept whole."""

import base64
import json
import runpy
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime.resource
import yaml
from google.protobuf import json_format
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.proto import source_pb2

from ops.pickled_code import unwrap_pickler
from platforms.stack_file import PROJECT
from settings import CREDENTIAL_KEYS, SECRET_OBJECTS

ROOT = Path(__file__).resolve().parents[2]
SIGNATURE = "4dabf18193072939515e22adb298388d"  # how the engine marks a special value on the wire
SECRET = "1b47061264138c4ac30d75fd1eb44270"
CERTIFICATE = {"now": base64.b64encode(b"the first one").decode()}  # of the edge, which the operator keeps and renews
# What a Secret that the operator keeps holds, where a stack file names one.
GIVEN = {
    key: f"given-{key}-{'x' * 32}"
    for key in (
        *("qdrantApiKey", "qdrantReadOnlyApiKey", "haproxyPassword", "gatewayServiceToken", "gatewayCanary"),
        "gatewayAdminToken",
        *("gatewayRedisPassword", "gatewayJwt-rag-client-1", "postgresPassword", "grafanaPassword"),
        "postgresMonitorPassword",
    )
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One resource as the program asked for it; inputs in the provider's own spelling."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    wire: Any  # the registration as it went to the engine
    raw: Mapping[str, Any]  # inputs with secrets still marked

    @property
    def parent(self) -> str:
        return str(self.wire.parent)

    @property
    def depends_on(self) -> set[str]:
        return set(self.wire.dependencies)

    def is_secret(self, key: str) -> bool:
        """Whether the input, or anything within it, is marked as a secret."""
        return SECRET in json.dumps(self.raw.get(key))


class Engine(MockMonitor):
    """Answers every registration with plausible outputs, and keeps it."""

    def __init__(self) -> None:
        super().__init__(Outputs())
        self.requests: list[Request] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the engine calls it so
        response: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        raw = json_format.MessageToDict(request.object)
        self.requests.append(
            Request(
                urn=response.urn,
                type=request.type,
                name=request.name,
                inputs=unmarked(raw),
                wire=request,
                raw=raw,
            )
        )
        return response

    def of(self, kind: str) -> list[Request]:
        """The requests whose type ends in `kind`."""
        return [request for request in self.requests if request.type.endswith(kind)]

    def one(self, name: str, kind: str = "") -> Request:
        """The request of that name (and type ending)."""
        [found] = [request for request in self.of(kind) if request.name == name]
        return found


class Outputs(Mocks):
    """What providers would answer: the inputs, and the outputs that the program goes on with."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ.endswith("RandomPassword"):
            outputs["result"] = f"made-{args.name}-{'x' * 40}"[:40]
        if args.name == "given-secrets":  # is read, and not made
            outputs["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in GIVEN.items()}
        if args.name == "edge-certificate":  # likewise
            outputs["data"] = {"tls.crt": CERTIFICATE["now"]}
        if args.typ.endswith("RemoteImage"):
            outputs |= {"imageId": f"sha256:{args.name}", "repoDigest": args.name}
        return f"id-of-{args.name}", outputs

    def call(self, _args: MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None


def unmarked(value: Any) -> Any:
    """The value without the marks of its secrets."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return unmarked(value["value"])
        return {key: unmarked(entry) for key, entry in value.items()}
    return [unmarked(entry) for entry in value] if isinstance(value, list) else value


# The engine shows where in the program a resource is made; no test reads it, and to find it takes a third of a run.
pulumi.runtime.resource._get_stack_trace = source_pb2.StackTrace


def run_program(stack: str = "dev", **overrides: str) -> Engine:
    """Run the real program with a stack file's configuration, once in a process; returns what it asked for."""
    config = stack_config(stack) | {f"{PROJECT}:{key}": value for key, value in overrides.items()}
    return _run(stack, frozenset(config.items()))


def run_again(stack: str, **overrides: str) -> Engine:
    """The same, run anew: for what the program reads from outside."""
    config = stack_config(stack) | {f"{PROJECT}:{key}": value for key, value in overrides.items()}
    return _run.__wrapped__(stack, frozenset(config.items()))


@cache
def _run(stack: str, config: frozenset[tuple[str, str]]) -> Engine:
    unwrap_pickler()
    engine = Engine()
    set_mocks(engine.mocks, project=PROJECT, stack=stack, monitor=engine)
    set_all_config(dict(config), [f"{PROJECT}:{key}" for key in (*CREDENTIAL_KEYS, *SECRET_OBJECTS)])

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    program()
    return engine


@cache
def stack_config(stack: str) -> dict[str, str]:
    """The stack file over the defaults of Pulumi.yaml, as the engine hands it to a program: text."""
    declared = yaml.load((ROOT / "Pulumi.yaml").read_text(), yaml.CSafeLoader)["config"]
    values = {key: entry["default"] for key, entry in declared.items() if "default" in entry}
    values |= yaml.load((ROOT / f"Pulumi.{stack}.yaml").read_text(), yaml.CSafeLoader)["config"]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def free_port() -> str:
    """A port of this machine that nothing listens on: the program opens a tunnel to the gateway's Admin API there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])
