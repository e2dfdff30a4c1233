"""A stack to be broken: dev's settings under another name and other ports, so that nobody's own stack is touched."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import docker
from pulumi import automation
from rich.console import Console

from access.docker_engine import of_stack
from ops import gateway, lifecycle
from ops.deployment import Progress
from ops.ingest import IngestClient
from ops.parts import load_parts
from ops.paths import STATE
from ops.preflight import connect_engine
from ops.stack import OperatorError, StackFiles, open_stack, outputs, resources, use_parts
from settings import PROJECT, Settings

TOKEN_SECONDS = 12 * 3600
YIELDING = 19  # the niceness of an `up` aside: a process weighs as much as all of Docker's containers together


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One that runs; another one of the same name has another id. `born` is a time of ISO 8601, in UTC."""

    name: str
    id: str
    born: str


@dataclass
class OwnStack:
    """A described stack, up or not; `prefix` names its containers."""

    files: StackFiles
    console: Console
    prefix: str

    def up(self, refresh: bool = False, **changed: Any) -> tuple[Progress, float]:
        """`up` with changed settings; what it did, and how many seconds it took."""
        self._set(changed)
        began = time.monotonic()
        return lifecycle.deploy(self.files, self.console, refresh=refresh), time.monotonic() - began

    def up_aside(self, **changed: Any) -> list[tuple[str, str]]:
        """`up` with changed settings in a process of its own; what it changed, as pairs of operation and resource.

        For when clients are measured: the program runs in the process that calls the engine, and would take the
        interpreter away from clients that are threads of the same one. It is told on stderr.
        """
        self._set(changed)
        processes = get_context("spawn")
        ours, theirs = processes.Pipe(duplex=False)
        aside = processes.Process(target=_tell_changes, args=(self.files, theirs), daemon=True)
        aside.start()
        theirs.close()
        try:
            told: list[tuple[str, str]] | str = ours.recv()
        except EOFError:
            told = "expected `up` to tell how it ended, found its process gone; run the same again"
        aside.join()
        if isinstance(told, str):
            raise OperatorError(told)
        return told

    def _set(self, changed: Mapping[str, Any]) -> None:
        self.files = self.files.with_config(**changed)
        self.__dict__.pop("outputs", None)  # of the settings before

    def down(self, *, purge: bool) -> list[str]:
        return lifecycle.take_down(self.files, self.console, purge=purge)

    def bring_back(self) -> None:
        """As the operator would: what was stopped by hand comes back with an `up`."""
        for container in self.engine.containers.list(filters={"status": "paused", "name": self.prefix}):
            container.unpause()
        self.up()

    def clear_away(self) -> None:
        """Remove all of it, even what another checkout left running.

        Where the engine cannot any more, because a run was killed half way, its state is forgotten.
        """
        try:
            self.down(purge=True)
        except (OperatorError, automation.CommandError) as error:
            self.console.print(f"{self.prefix} is removed by hand, and its state forgotten: {error}", markup=False)
            for file in (STATE / "backend" / ".pulumi" / "stacks" / PROJECT).glob(f"{self.files.name}.json*"):
                file.unlink()
        self._remove_by_hand()

    def _remove_by_hand(self) -> None:
        for container in self.engine.containers.list(all=True, filters=of_stack(self.prefix)):
            container.remove(force=True)
        for volume in self.engine.volumes.list(filters={"name": f"{self.prefix}-"}):
            if volume.name.startswith(f"{self.prefix}-"):
                volume.remove(force=True)
        for network in self.engine.networks.list(names=[f"^{self.prefix}$"]):
            network.remove()

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return outputs(open_stack(self.files))

    @cached_property
    def engine(self) -> docker.DockerClient:
        return connect_engine()

    def container(self, name: str) -> Any:
        """The container of a replica, as it is now: qdrant-0, kong-0, …"""
        return self.engine.containers.get(f"{self.prefix}-{name}")

    def replicas(self) -> list[Replica]:
        """All that runs now."""
        return [
            Replica(name=one.name.removeprefix(f"{self.prefix}-"), id=one.id, born=one.attrs["Created"])
            for one in self.engine.containers.list(filters=of_stack(self.prefix), ignore_removed=True)
        ]

    def token(self, valid_seconds: int = 600) -> str:
        return gateway.mint_token(self.outputs["gatewayJwtKey"], self.outputs["gatewayJwtSecret"], valid_seconds)

    def ingest(self) -> IngestClient:
        return IngestClient(self.outputs["ingestUrl"], self.outputs["gatewayServiceToken"])

    def trust_this_machine(self) -> None:
        """Let the gateway believe this machine's X-Forwarded-For, so that one machine can stand for many clients.

        Whatever comes in through a published port reaches Kong from the bridge's own address: that one, and no
        network, is trusted, and only here. Dev does not trust it (docs/decisions/0023-a-stack-to-be-broken.md).
        """
        [address] = self.engine.networks.get(self.prefix).attrs["IPAM"]["Config"]
        self.up(gatewayTrustedProxies=[address["Gateway"]])


def _tell_changes(files: StackFiles, told: Connection) -> None:
    """Send what `up` changed, or in words what stopped it: not every exception can be sent."""
    os.nice(YIELDING)
    try:
        told.send(lifecycle.deploy(files, own_console()).changes)
    except OperatorError as error:
        told.send(str(error))
    except Exception as error:
        told.send(repr(error))
        raise


def own_console() -> Console:
    """Where a stack of the proof says what happens to it; stdout is for what was found."""
    return Console(stderr=True, highlight=False, width=150)


def described(name: str, prefix: str, ports: Mapping[str, int], **config: Any) -> OwnStack:
    """A stack of that name, as yet only described."""
    parts = load_parts()
    use_parts(parts)
    keys = {key: str(port) for key, port in ports.items()}
    files = StackFiles(name=name, source="dev", parts=parts).with_config(namePrefix=prefix, **keys, **config)
    return OwnStack(files=files, console=own_console(), prefix=prefix)


def limiting_nobody(settings: Settings) -> dict[str, Any]:
    """Settings under which one address may call as often as it likes; policies refuse them but for a week, here."""
    exception = {
        "rule": "routes-are-limited",
        "resource": "gateway/rag-service",
        "reason": "a stack to be broken, which one address keeps at work and nobody else can reach",
        "expires": (date.today() + timedelta(days=7)).isoformat(),
    }
    exceptions = [*settings.policy.exceptions, exception]
    return {"gatewayRateLimitPerMinute": "100000", "gatewayFloodBurst": "100000", "policyExceptions": exceptions}


def is_up(stack: OwnStack) -> bool:
    """Whether an earlier run left it running."""
    try:
        return bool(outputs(open_stack(stack.files)))
    except (OperatorError, automation.CommandError):
        return False


def was_used(stack: OwnStack) -> bool:
    """Whether an earlier run left a state, well or not."""
    try:
        return bool(resources(open_stack(stack.files)))
    except automation.CommandError:
        return True  # the engine cannot read it any more
