"""Qdrant as a cluster: nodes that join safely, leave traffic before they stop, and a balancer in front."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi import ResourceOptions
from pydantic import BaseModel, ConfigDict, Field, field_validator

from access.haproxy import BalancerApi, BalancerUnreachable
from access.kubernetes.replicas import every
from components.qdrant import haproxy
from components.yaml_text import yaml_text
from platforms.base import Platform, Rollout, Service
from platforms.policy_inputs import declared
from platforms.workload import Call, HttpProbe, Port, Resources, Workload
from providers.settled import ClusterSettled

NODES, BALANCER = "qdrant", "haproxy"
REST, GRPC, PEERS = 6333, 6334, 6335
START_SCRIPT = Path(__file__).with_name("start_node.sh").read_text()


class QdrantSettings(BaseModel):
    """Size and patience of the cluster; defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int
    balancers: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    snapshot_gib: int = Field(ge=1)
    start_seconds: int = Field(ge=30)
    memory_mib: int = Field(ge=256)
    cpus: int = Field(ge=1)
    log_level: str = Field(pattern="^(TRACE|DEBUG|INFO|WARN|ERROR)$")
    query_timeout_ms: int = Field(ge=50, le=60000)
    settle_seconds: int = Field(ge=10)
    http_port: int = Field(ge=1, le=65535)
    grpc_port: int = Field(ge=1, le=65535)
    statistics_port: int = Field(ge=1, le=65535)
    node_port: int = Field(ge=1, le=65000)

    @field_validator("nodes")
    @classmethod
    def has_a_majority(cls, nodes: int) -> int:
        if nodes < 3 or nodes % 2 == 0:
            raise ValueError(
                f"expected an odd number of nodes, 3 or more, so that losing one leaves a majority; found {nodes}"
            )
        return nodes


@dataclass(frozen=True, kw_only=True)
class QdrantKeys:
    """The cluster's secrets."""

    api_key: pulumi.Input[str]
    read_only_api_key: pulumi.Input[str]
    balancer_password: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class QdrantClusterArgs:
    """Where it runs, what it is, and the secrets it is wired with."""

    platform: Platform
    settings: QdrantSettings
    node_image: str
    balancer_image: str
    keys: QdrantKeys


class QdrantCluster(pulumi.ComponentResource):
    """Serves REST and gRPC through one balanced address, and goes on while one node is down."""

    def __init__(self, name: str, args: QdrantClusterArgs, opts: ResourceOptions | None = None) -> None:
        node_urls = args.platform.locate(NODES, node_workload(args)).public_urls(REST)
        rollout = NodeRollout(name, args, node_urls)
        super().__init__("rag:components:QdrantCluster", name, cluster_inputs(args, rollout), opts)
        child = ResourceOptions(parent=self)
        self.node_urls = node_urls
        self.nodes = args.platform.run(NODES, node_workload(args), child, rollout)
        after_nodes = ResourceOptions(parent=self, depends_on=list(self.nodes.ready))
        self.balancer = args.platform.run(BALANCER, balancer_workload(args, node_hosts(self.nodes)), after_nodes)
        self.ready = [*self.nodes.ready, *self.balancer.ready]
        self.register_outputs({"url": self.url})

    @property
    def url(self) -> str:
        """Balanced REST address, for neighbours."""
        return self.balancer.url(haproxy.HTTP)


def cluster_inputs(args: QdrantClusterArgs, rollout: Rollout) -> dict[str, Any]:
    """What previews and policies see of the cluster, before anything is made."""
    workloads = {NODES: declared(node_workload(args), rollout), BALANCER: declared(balancer_workload(args, ()))}
    return {**args.settings.model_dump(), "workloads": workloads}


class NodeRollout:
    """Out of the balancer, hard stop, start, settle, back into the balancer; then the next node.

    A gentle stop behind keep-alive connections loses acknowledged writes (docs/decisions/0003).
    """

    def __init__(self, name: str, args: QdrantClusterArgs, node_urls: list[str]) -> None:
        self._name = name
        self._node_urls = node_urls
        self._timeout_seconds = args.settings.settle_seconds
        self._api_key = args.keys.api_key
        self._password = pulumi.Output.secret(args.keys.balancer_password)
        self._balancer_url = args.platform.locate(BALANCER, balancer_workload(args, ())).public_url(haproxy.STATISTICS)

    def before_stop(self, ordinal: int) -> pulumi.ResourceHook:
        """Drain the node; a balancer that does not answer sends it nothing anyway."""

        async def drain(hook: pulumi.ResourceHookArgs) -> None:
            password = await self._password.future(with_unknowns=True)
            await asyncio.to_thread(self._drain, f"{haproxy.SERVER_PREFIX}{ordinal}", str(password))

        return pulumi.ResourceHook(f"{self._name}-drain-{ordinal}", drain)

    def _drain(self, server: str, password: str) -> None:
        try:
            balancers = every(self._balancer_url)
            cut = sum(BalancerApi(url, haproxy.OPERATOR, password).drain(server) for url in balancers)
            pulumi.log.info(f"{server} is out of traffic at {len(balancers)} balancer(s); {cut} requests were cut off")
        except BalancerUnreachable:
            pulumi.log.info(f"{server}: no balancer answers, nothing to take it out of")

    def settled(self, ordinal: int, started: pulumi.Output[str], opts: ResourceOptions) -> pulumi.Resource:
        return ClusterSettled(
            f"{self._name}-settled-{ordinal}",
            ordinal=ordinal,
            started=started,
            node_urls=self._node_urls,
            api_key=self._api_key,
            balancer={
                "url": self._balancer_url,
                "user": haproxy.OPERATOR,
                "password": self._password,
                "prefix": haproxy.SERVER_PREFIX,
            },
            timeout_seconds=self._timeout_seconds,
            opts=opts,
        )


def node_workload(args: QdrantClusterArgs) -> Workload:
    """The nodes; their keys travel in a file, their plain settings in the environment."""
    settings, keys = args.settings, args.keys
    service = pulumi.Output.all(keys.api_key, keys.read_only_api_key).apply(lambda pair: key_file(*pair))
    return Workload(
        image=args.node_image,
        replicas=settings.nodes,
        command=("bash", "/qdrant/start_node.sh", str(settings.nodes)),
        env={
            "QDRANT__CLUSTER__ENABLED": "true",
            # A node opens its first connection to a peer with those to all peers locked: each try at one whose address
            # is silent holds up reads that need none of it, two seconds by default.
            "QDRANT__CLUSTER__CONNECTION_TIMEOUT_MS": "250",
            "QDRANT__LOG_LEVEL": settings.log_level,
            "QDRANT__SERVICE__ENABLE_CORS": "false",
            "QDRANT__SERVICE__HTTP_KEEP_ALIVE_TIMEOUT_SEC": "75",  # longer than the balancer holds one idle
            "QDRANT__TELEMETRY_DISABLED": "true",
            "QDRANT_INIT_FILE_PATH": "/qdrant/marks/initialized",  # else beside the binary
        },
        ports=(Port(number=REST, published=settings.node_port), Port(number=GRPC), Port(number=PEERS)),
        # REST too: since 1.18 a node fetches a copy that it lacks as a snapshot from where its peer's clients ask.
        calls=(Call(name=NODES, port=PEERS), Call(name=NODES, port=REST)),
        files={"/qdrant/start_node.sh": START_SCRIPT},
        secret_files={"/qdrant/config/local.yaml": service},
        data_dir="/qdrant/storage",
        data_gib=settings.storage_gib,
        work_dir="/qdrant/snapshots",
        work_gib=settings.snapshot_gib,
        scratch_dirs=("/qdrant/marks", "/tmp"),  # noqa: S108  the container's own
        founding_file="may-found",
        # Not /readyz: the first node of a cluster that lived before is ready only with peers that are started after it.
        # The gate behind each node, and the balancer, ask for more.
        readiness=HttpProbe(port=REST, path="/healthz"),
        traffic=HttpProbe(port=REST, path="/readyz"),
        start_seconds=settings.start_seconds,
        grace_seconds=0,
        spread="must",
        resources=Resources(memory_mib=settings.memory_mib, cpus=settings.cpus),
    )


def key_file(api_key: str, read_only_api_key: str) -> str:
    """Qdrant's local configuration: the two keys and nothing else."""
    keys = {"service": {"api_key": api_key, "read_only_api_key": read_only_api_key}}
    return yaml_text(keys)


def node_hosts(nodes: Service) -> list[str]:
    """The nodes by their names, without a port."""
    return [address.rpartition(":")[0] for address in nodes.replica_addresses(REST)]


def balancer_workload(args: QdrantClusterArgs, hosts: Sequence[str]) -> Workload:
    """HAProxy; its configuration holds the operator's password, and so is a secret as a whole."""
    settings = args.settings

    def config(password: str) -> str:
        return haproxy.haproxy_config(hosts, password=password, query_timeout_ms=settings.query_timeout_ms)

    path = "/usr/local/etc/haproxy/haproxy.cfg"
    return Workload(
        image=args.balancer_image,
        replicas=settings.balancers,
        args=("haproxy", "-W", "-db", "-f", path),
        ports=(
            Port(number=haproxy.HTTP, published=settings.http_port),
            Port(number=haproxy.GRPC, published=settings.grpc_port),
            Port(number=haproxy.STATISTICS, published=settings.statistics_port),
        ),
        secret_files={path: pulumi.Output.from_input(args.keys.balancer_password).apply(config)},
        calls=(Call(name=NODES, port=REST), Call(name=NODES, port=GRPC)),
        readiness=HttpProbe(port=haproxy.STATISTICS, path="/healthz"),
        user=99,
        resources=Resources(memory_mib=256),
    )
