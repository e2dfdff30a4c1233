"""A node of Kong: what is the same with and without a database."""

from collections.abc import Mapping

import pulumi

from components.gateway import valkey
from components.gateway.entities import update_env
from components.gateway.flood import flood_env
from components.gateway.settings import GatewaySettings
from platforms.workload import Call, HttpProbe, Port, Resources, Workload, port_of

NAME = "kong"
PROXY, PROXY_TLS, ADMIN, STATUS = 8000, 8443, 8001, 8100
WORKERS = 2
# Without these the opentelemetry plugin has no spans to send: a call's own, and one for each target tried.
TRACING = {"KONG_TRACING_INSTRUMENTATIONS": "request,balancer", "KONG_TRACING_SAMPLING_RATE": "1"}
PREFIX = "/tmp/kong"  # noqa: S108  where it writes what it makes of its settings; made by itself
GRACE_SECONDS = 30  # an answer may be under way for that long


def kong_node(
    image: str,
    settings: GatewaySettings,
    *,
    backend_env: Mapping[str, str],
    secret_files: Mapping[str, pulumi.Input[str]],
    calls: tuple[Call, ...],
    admin: bool,
    certificate_dir: str,
    traces_url: str = "",
) -> Workload:
    """Kong's proxy and status listener, and its Admin API where there is something to administer."""
    admin_ports = (Port(number=ADMIN, published=settings.admin_port),) if admin else ()
    return Workload(
        image=image,
        replicas=settings.nodes,
        most_replicas=settings.most_nodes,
        env={
            **backend_env,
            **node_env(settings, admin=admin),
            **certificate_env(certificate_dir),
            **(TRACING if traces_url else {}),
        },
        ports=(
            Port(number=PROXY, published=settings.http_port, public="http"),
            Port(number=PROXY_TLS, published=settings.https_port, public="https"),
            *admin_ports,
            Port(number=STATUS),
        ),
        secret_files=secret_files,
        calls=(*calls, *counter_calls(settings)),
        reaches_out=(*outside_ports(settings), *port_of(traces_url)),
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
        readiness=HttpProbe(port=STATUS, path="/status/ready"),
        grace_seconds=GRACE_SECONDS,
        resources=Resources(memory_mib=1024),
    )


def certificate_env(folder: str) -> dict[str, str]:
    """The certificate of the public name; without, Kong signs one itself."""
    return {"KONG_SSL_CERT": f"{folder}/tls.crt", "KONG_SSL_CERT_KEY": f"{folder}/tls.key"} if folder else {}


def counter_calls(settings: GatewaySettings) -> tuple[Call, ...]:
    """To our own Valkey, where it is the one that counts."""
    ours = settings.rate_limit_policy == "redis" and not settings.redis_address
    return (Call(name=valkey.NAME, port=valkey.PORT),) if ours else ()


def outside_ports(settings: GatewaySettings) -> tuple[int, ...]:
    """Those of a database or a Redis of somebody else's."""
    named = (settings.redis_address, settings.database_address if settings.backend == "database" else "")
    return tuple(int(address.rpartition(":")[2]) for address in named if address)


def node_env(settings: GatewaySettings, *, admin: bool) -> dict[str, str]:
    """Listeners, limits and pace."""
    return {
        **update_env(settings),
        **flood_env(settings),
        "KONG_PREFIX": PREFIX,
        "KONG_PROXY_LISTEN": f"0.0.0.0:{PROXY} reuseport, 0.0.0.0:{PROXY_TLS} http2 ssl reuseport",
        "KONG_ADMIN_LISTEN": f"0.0.0.0:{ADMIN}" if admin else "off",
        "KONG_ADMIN_GUI_LISTEN": "off",
        "KONG_STATUS_LISTEN": f"0.0.0.0:{STATUS}",
        "KONG_NGINX_WORKER_PROCESSES": str(WORKERS),
        "KONG_ANONYMOUS_REPORTS": "off",
        "KONG_PROXY_ACCESS_LOG": "off",
        # A replaced neighbour has another address; Docker's DNS would let Kong believe the old one for 10 minutes.
        "KONG_DNS_VALID_TTL": "5",
        "KONG_DNS_STALE_TTL": "5",
        "KONG_DNS_NOT_FOUND_TTL": "1",  # and a name that was gone for a moment would stay unknown for 30 s
    }
