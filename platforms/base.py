"""The contract between components and the platforms that run them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi

from platforms.monitoring_targets import MonitoringTargets, ScrapeJob
from platforms.workload import AllowedConnection, Workload


@dataclass(frozen=True, kw_only=True)
class Service:
    """A workload, as its neighbours and its operators reach it.

    `ready` is what a dependent waits for: the last replica, or the gate behind it; empty when it is only located.
    `data` are the disks that outlive it, replica by replica: deleting them deletes all that it keeps.
    """

    name: str
    replicas: int
    published: dict[int, int]  # port -> port on this machine, of replica 0
    ready: Sequence[pulumi.Resource] = ()
    data: Sequence[pulumi.Resource] = ()
    public_host: str = "127.0.0.1"

    def address(self, port: int) -> str:
        """`host:port` for a neighbour."""
        return f"{self.name}:{port}"

    def replica_addresses(self, port: int) -> list[str]:
        """`host:port` of each replica, for a neighbour that must see every one.

        Where replicas have no names, it is one address that begins with `dns+`: its host resolves to all of them.
        """
        return [f"{self.name}-{ordinal}:{port}" for ordinal in range(self.replicas)]

    def connection(self, port: int) -> AllowedConnection:
        """For the `connects_to` of a workload that connects to this port."""
        return AllowedConnection(name=self.name, port=port)

    def scrape_job(self, name: str, port: int, **more: Any) -> ScrapeJob:
        """The metrics of every replica at this port; `more` are the other fields of a `ScrapeJob`."""
        addresses = tuple(self.replica_addresses(port))
        return ScrapeJob(name=name, target=self.connection(port), addresses=addresses, **more)

    def url(self, port: int) -> str:
        """Base URL for a neighbour."""
        return f"http://{self.address(port)}"

    def public_url(self, port: int, ordinal: int = 0) -> str:
        """Base URL for people, and for providers that run outside; KeyError when the port is not published.

        On Kubernetes nothing is published for that: it is `kube://context/namespace/name:port`, which providers reach
        through the cluster's API.
        """
        return f"http://{self.public_host}:{self.published[port] + ordinal}"

    def public_urls(self, port: int) -> list[str]:
        """Base URL of each replica from outside."""
        return [self.public_url(port, ordinal) for ordinal in range(self.replicas)]

    def world_url(self, port: int) -> str:
        """Base URL for clients: through the edge where there is one, else as from outside."""
        return self.public_url(port)

    def plain_url(self, port: int) -> str:
        """Base URL on this machine for a program that only speaks HTTP, the same in every run."""
        return self.public_url(port)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Where clients outside meet TLS: `host:port` as a neighbour reaches it, and the name in the certificate."""

    address: str
    host: str
    outside: bool  # whether it is reached beyond the stack, and not at the workload behind it


class Rollout(Protocol):
    """How the replicas of a stateful workload are replaced: out of traffic, replaced, settled; then the next."""

    def before_stop(self, ordinal: int) -> pulumi.ResourceHook:
        """A hook that takes the replica out of traffic before it is stopped."""

    def settled(self, ordinal: int, started: pulumi.Output[str], opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """A resource that is done when the replica that was `started` has settled and is in traffic again."""


class Platform(Protocol):
    """Runs workloads; all that a component knows of where it runs."""

    @property
    def certificate_dir(self) -> str:
        """Where a workload with a public https port finds `tls.crt` and `tls.key`; empty: it signs its own."""

    def edge(self, service: Service, https_port: int) -> Edge | None:
        """Where the certificate of this public service is served; None where it is published to this machine only."""

    def given_secrets(self) -> pulumi.Output[Mapping[str, str]] | None:
        """Stack-file key -> secret, where the platform holds them; None where the stack keeps its own."""

    def disk_jobs(self, services: Sequence[Service]) -> Sequence[ScrapeJob]:
        """How full the disks of these services are, for Prometheus."""

    def publish_monitoring(self, monitoring_targets: MonitoringTargets, opts: pulumi.ResourceOptions) -> None:
        """Run what measures the disks of all that runs; give the platform's own monitoring, where it has one, the
        jobs, rules and dashboards of the stack."""

    def locate(self, name: str, workload: Workload) -> Service:
        """Where the workload will be reached, before it runs."""

    def run(
        self, name: str, workload: Workload, opts: pulumi.ResourceOptions, rollout: Rollout | None = None
    ) -> Service:
        """Keep the workload running under `name`."""

    def run_once(self, name: str, workload: Workload, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """Run the workload to its end; done when it exited 0."""


def after(opts: pulumi.ResourceOptions, resources: Iterable[pulumi.Resource]) -> pulumi.ResourceOptions:
    """The same options, and these resources first."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(resources)))
