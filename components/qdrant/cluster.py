"""Qdrant as a cluster: nodes that join safely, leave traffic before they stop, and a balancer in front."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi import ResourceOptions

from access.haproxy import BalancerApi, BalancerUnreachable
from access.kubernetes.replicas import every
from components.qdrant import haproxy
from components.qdrant.settings import QdrantSettings
from components.yaml_text import yaml_text
from platforms.base import Platform, Service, after
from platforms.policy_inputs import policy_inputs
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload
from providers.settled import ClusterSettled

NODES, BALANCER = "qdrant", "haproxy"
REST, GRPC, PEERS = 6333, 6334, 6335
START_SCRIPT = Path(__file__).with_name("start_node.sh").read_text()


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
    """Serves REST and gRPC through one balanced address, also while one node is down."""

    def __init__(self, name: str, args: QdrantClusterArgs, opts: ResourceOptions | None = None) -> None:
        nodes = node_workload(args)
        located = args.platform.locate(NODES, nodes)
        balancer = balancer_workload(args, located)
        self.node_urls = located.public_urls(REST)
        balancer_url = args.platform.locate(BALANCER, balancer).public_url(haproxy.STATISTICS)
        rollout = NodeRollout(name, args, self.node_urls, balancer_url)
        inputs = policy_inputs(args.settings, {NODES: nodes, BALANCER: balancer}, rollouts=(NODES,))
        super().__init__("rag:components:QdrantCluster", name, inputs, opts)
        child = ResourceOptions(parent=self)
        self.nodes = args.platform.run(NODES, nodes, child, rollout)
        self.balancer = args.platform.run(BALANCER, balancer, after(child, self.nodes.ready))
        self.ready = [*self.nodes.ready, *self.balancer.ready]
        self.register_outputs({"url": self.url})

    @property
    def url(self) -> str:
        """Balanced REST address, for neighbours."""
        return self.balancer.url(haproxy.HTTP)


class NodeRollout:
    """Out of the balancer, hard stop, start, settle, back into the balancer; then the next node.

    A gentle stop behind keep-alive connections loses acknowledged writes (docs/decisions/0003).
    """

    def __init__(self, name: str, args: QdrantClusterArgs, node_urls: list[str], balancer_url: str) -> None:
        self._name = name
        self._node_urls = node_urls
        self._timeout_seconds = args.settings.settle_seconds
        self._api_key = args.keys.api_key
        self._password = pulumi.Output.secret(args.keys.balancer_password)
        self._balancer_url = balancer_url

    def before_stop(self, ordinal: int) -> pulumi.ResourceHook:
        """Drain the node; a balancer that does not answer sends it no traffic either."""

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
            # does not respond holds up reads that do not need it, two seconds by default.
            "QDRANT__CLUSTER__CONNECTION_TIMEOUT_MS": "250",
            "QDRANT__LOG_LEVEL": settings.log_level,
            "QDRANT__SERVICE__ENABLE_CORS": "false",
            # Updates are refused before a full disk stops the node; optimizations go on.
            "QDRANT__STORAGE__QUOTAS__ENABLED": "true",
            "QDRANT__STORAGE__QUOTAS__MAX_DISK_USAGE_PERCENT": str(disk_quota_percent(settings.storage_gib)),
            "QDRANT__SERVICE__HTTP_KEEP_ALIVE_TIMEOUT_SEC": "75",  # longer than the balancer holds one idle
            "QDRANT__TELEMETRY_DISABLED": "true",
            "QDRANT_INIT_FILE_PATH": "/qdrant/marks/initialized",  # else beside the binary
        },
        ports=(Port(number=REST, published=settings.node_port), Port(number=GRPC), Port(number=PEERS)),
        # REST too: since 1.18 a node fetches a replica that it lacks as a snapshot from its peer's REST API.
        connects_to=tuple(AllowedConnection(name=NODES, port=port) for port in (PEERS, REST)),
        files={"/qdrant/start_node.sh": START_SCRIPT},
        secret_files={"/qdrant/config/local.yaml": service},
        data_dir="/qdrant/storage",
        data_gib=settings.storage_gib,
        work_dir="/qdrant/snapshots",
        work_gib=settings.snapshot_gib,
        scratch_dirs=("/qdrant/marks", "/tmp"),  # noqa: S108  the container's own
        founding_file="may-found",
        # Not /readyz: the first node of a cluster that lived before is ready only with peers that are started after it.
        # The gate behind each node, and the balancer, ask for more. No liveness probe: a node that recovers shards is
        # slow, and killed it would begin anew; a process that ends is started again anyway.
        readiness=HttpProbe(port=REST, path="/healthz"),
        traffic=HttpProbe(port=REST, path="/readyz"),
        start_seconds=settings.start_seconds,
        grace_seconds=0,
        spread="must",
        resources=Resources(memory_mib=settings.memory_mib, cpus=settings.cpus),
    )


def disk_quota_percent(storage_gib: int) -> int:
    """How full the disk may be: a tenth of it stays free for optimizations, at least 1 GiB, at most half."""
    return 100 - min(50, max(10, round(100 / storage_gib)))


def key_file(api_key: str, read_only_api_key: str) -> str:
    """Qdrant's local configuration: the two keys and nothing else."""
    return yaml_text({"service": {"api_key": api_key, "read_only_api_key": read_only_api_key}})


def balancer_workload(args: QdrantClusterArgs, nodes: Service) -> Workload:
    """HAProxy; its configuration holds the operator's password, and so is a secret as a whole."""
    settings = args.settings
    hosts = [address.rpartition(":")[0] for address in nodes.replica_addresses(REST)]

    def config(password: str) -> str:
        return haproxy.haproxy_config(hosts, password=password, query_timeout_ms=settings.query_timeout_ms)

    path = "/usr/local/etc/haproxy/haproxy.cfg"
    health = HttpProbe(port=haproxy.STATISTICS, path="/healthz")  # of the balancer alone
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
        connects_to=(nodes.connection(REST), nodes.connection(GRPC)),
        readiness=health,
        liveness=health,
        user=99,
        resources=Resources(memory_mib=256),
    )
