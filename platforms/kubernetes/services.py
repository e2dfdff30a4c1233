"""Services of a workload: one name for any replica, one for all of them."""

from dataclasses import dataclass

import pulumi

from access.kubernetes import tunnel
from platforms.base import Service
from platforms.kubernetes.cluster import Cluster, Manifest, replicas_service, selector
from platforms.kubernetes.pods import port_name
from platforms.workload import Workload

EACH_REPLICA = {"app.kubernetes.io/component": "replicas"}  # a ServiceMonitor selects by it, and not the front


def front(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """`<name>` reaches any ready replica."""
    return _service(name, name, workload, cluster, {"type": "ClusterIP"})


def all_replicas(name: str, workload: Workload, cluster: Cluster) -> Manifest:
    """Resolves to every replica, ready or not: nodes that wait for each other must find each other first."""
    kind = {"clusterIP": "None", "publishNotReadyAddresses": True}
    manifest = _service(replicas_service(name), name, workload, cluster, kind)
    manifest["metadata"]["labels"] |= EACH_REPLICA
    return manifest


def _service(name: str, workload_name: str, workload: Workload, cluster: Cluster, kind: Manifest) -> Manifest:
    ports = [
        {"name": port_name(port.number), "port": port.number, "targetPort": port.number, "protocol": "TCP"}
        for port in workload.ports
    ]
    # Not awaited: whether the deployment went well is known by its pods, which are.
    metadata = cluster.metadata(name, workload_name, annotations={"pulumi.com/skipAwait": "true"})
    return {"metadata": metadata, "spec": {"selector": selector(workload_name), "ports": ports, **kind}}


@dataclass(frozen=True, kw_only=True)
class KubernetesService(Service):
    """A workload in a cluster: neighbours go by Services, this machine through the cluster's API."""

    cluster: Cluster
    with_data: bool
    public: frozenset[int]

    def replica_addresses(self, port: int) -> list[str]:
        every_replica = self.cluster.domain(replicas_service(self.name))
        if not self.with_data:
            return [f"dns+{every_replica}:{port}"]
        return [f"{self.name}-{ordinal}.{every_replica}:{port}" for ordinal in range(self.replicas)]

    def public_url(self, port: int, ordinal: int = 0) -> str:
        return self.cluster.url(f"{self.name}-{ordinal}" if self.with_data else self.name, port)

    def public_urls(self, port: int) -> list[str]:
        """One for each replica that has a name; else one that stands for all of them."""
        if not self.with_data:
            return [self.public_url(port)]
        return [self.public_url(port, ordinal) for ordinal in range(self.replicas)]

    def world_url(self, port: int) -> str:
        settings = self.cluster.settings
        exposed = settings.edge != "none" and settings.edge_host and port in self.public
        return f"https://{settings.edge_host}" if exposed else self.public_url(port)

    def plain_url(self, port: int) -> str:
        number = self.published[port]
        try:
            return tunnel.local(self.public_url(port), number)
        except OSError as error:
            raise pulumi.RunError(
                f"expected port {number} of 127.0.0.1 to be free, for the way to {self.name}:{port}; found it taken by "
                "another program: stop that, or give another port in the stack file"
            ) from error
