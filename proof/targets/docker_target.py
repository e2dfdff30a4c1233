"""A tested stack on Docker: dev's stack file on ports of its own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
from pulumi import automation

from access.docker_engine import of_stack
from ops.paths import STATE
from ops.preflight import connect_engine
from ops.stack import OperatorError
from platforms.stack_file import PROJECT
from proof.targets.proof_stack import TOKEN_SECONDS, ProofStack
from proof.targets.target import Replica, slot
from proof.traffic.endpoints import Endpoints, Pace, streams
from proof.traffic.generator import Traffic
from proof.traffic.ledger import Ledger
from qdrant_admin.api import path

# Below the range that clients are given ports from. Two checkouts of one machine take different slots.
FIRST_PORTS = {
    "qdrantHttpPort": 17333,
    "qdrantGrpcPort": 17334,
    "qdrantStatisticsPort": 17404,
    "qdrantNodePort": 17343,
    "gatewayHttpPort": 17000,
    "gatewayHttpsPort": 17443,
    "gatewayAdminPort": 17001,
    "observabilityPrometheusPort": 17090,
    "observabilityGrafanaPort": 17301,
    "ragIngestPort": 17201,
}
ADDRESSES = 240  # clients that the gateway tells apart; each may call a hundred times a minute


@dataclass
class DockerTarget:
    """Containers of one engine; clients are threads of this process."""

    stack: ProofStack

    @cached_property
    def engine(self) -> docker.DockerClient:
        return connect_engine()

    @property
    def gateway_address(self) -> str:
        """This machine's address on the stack's network, from which every published port is reached."""
        [address] = self.engine.networks.get(self.stack.prefix).attrs["IPAM"]["Config"]
        return str(address["Gateway"])

    def container(self, replica: str) -> Any:
        """The container of a replica, as it is now: qdrant-0, kong-0, …"""
        return self.engine.containers.get(f"{self.stack.prefix}-{replica}")

    def replicas(self) -> list[Replica]:
        return [
            Replica(name=one.name.removeprefix(f"{self.stack.prefix}-"), id=one.id, created=one.attrs["Created"])
            for one in self.engine.containers.list(filters=of_stack(self.stack.prefix), ignore_removed=True)
        ]

    def start_traffic(self, pace: Pace, ledger: Ledger) -> Traffic:
        found = self.stack.outputs
        endpoints = Endpoints(
            points_url=found["qdrantUrl"] + path("collections", found["collection"], "points"),
            api_key=found["qdrantApiKey"],
            dimensions=self.stack.settings.collection.vector_size,
            gateway_url=found["gatewayUrl"],
            token=self.stack.token(TOKEN_SECONDS),
            addresses=ADDRESSES,
            probes=self.stack.probes,
        )
        return Traffic(streams(endpoints, pace, ledger))

    def trust_forwarded_addresses(self) -> None:
        """Trust X-Forwarded-For from this one address, and no network (docs/decisions/0023-a-stack-to-be-broken.md)."""
        self.stack.up(gatewayTrustedProxies=[self.gateway_address])

    def repair(self) -> None:
        for container in self.engine.containers.list(filters={"status": "paused", "name": self.stack.prefix}):
            container.unpause()
        self.stack.up()

    def purge(self) -> None:
        """Remove all of it, even what another checkout left running, and its state where the engine cannot read it."""
        try:
            self.stack.down(purge=True)
        except (OperatorError, automation.CommandError) as error:
            self.stack.console.print(
                f"{self.stack.prefix} is removed without Pulumi, and its state deleted: {error}", markup=False
            )
            for file in (STATE / "backend" / ".pulumi" / "stacks" / PROJECT).glob(f"{self.stack.files.name}.json*"):
                file.unlink()
        self._remove_objects()

    def _remove_objects(self) -> None:
        prefix = self.stack.prefix
        for container in self.engine.containers.list(all=True, filters=of_stack(prefix)):
            container.remove(force=True)
        for volume in self.engine.volumes.list(filters={"name": f"{prefix}-"}):
            if volume.name.startswith(f"{prefix}-"):
                volume.remove(force=True)
        for network in self.engine.networks.list(names=[f"^{prefix}$"]):
            network.remove()


def proof_docker() -> DockerTarget:
    """The stack that `make chaos` and its like bring up; nothing is up yet."""
    ports = {key: str(port + 500 * slot()) for key, port in FIRST_PORTS.items()}
    return DockerTarget(ProofStack.described("proof", "dev", f"rag-proof{slot() or ''}", **ports, ragReplicas="2"))
