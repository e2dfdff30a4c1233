"""A node of Kong, with and without a database, and the migrations of its database."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.gateway import postgres, valkey
from components.gateway.description import Gateway
from components.gateway.entities import update_env
from components.gateway.plugins import RequestSizeLimiting
from components.gateway.references import reference
from components.gateway.settings import GatewaySettings
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload, port_of

PROXY, PROXY_TLS, ADMIN, STATUS = 8000, 8443, 8001, 8100
WORKERS = 2
# Without these the opentelemetry plugin has no spans to send: a call's own, and one for each target tried.
TRACING = {"KONG_TRACING_INSTRUMENTATIONS": "request,balancer", "KONG_TRACING_SAMPLING_RATE": "1"}
PREFIX = "/tmp/kong"  # noqa: S108  where it writes what it makes of its settings; made by itself
CONFIG_FILE = "/etc/kong/kong.yml"
DBLESS = {"KONG_DATABASE": "off", "KONG_DECLARATIVE_CONFIG": CONFIG_FILE}
ADMIN_FILE = "/etc/kong/admin.conf"
ADMIN_TOKEN = "admin-token"  # noqa: S105  the name of a secret
# What nginx does before Kong's Admin API, which authenticates no caller itself. A header, because a browser sends none
# for a page without asking first, and that is a 401, too.
ADMIN_GUARD = f"""default_type application/json;
if ($http_kong_admin_token != "{reference(ADMIN_TOKEN)}") {{
    return 401 '{{"message":"expected the header Kong-Admin-Token with the token of this gateway"}}';
}}
"""
GRACE_SECONDS = 30  # an answer may be under way for that long

# The authorities that the image brings, for services elsewhere that speak TLS.
VERIFY_TLS = {"KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE": "/etc/ssl/certs/ca-certificates.crt"}


@dataclass(frozen=True, kw_only=True)
class Backends:
    """What the routes lead to: neighbours; outside the stack ports, networks to join, and whether some speak TLS."""

    connections: tuple[AllowedConnection, ...] = ()
    outside: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    tls: bool = False


def kong_workload(
    image: str,
    settings: GatewaySettings,
    *,
    gateway: Gateway,
    backends: Backends,
    secret_files: Mapping[str, pulumi.Input[str]],
    certificate_dir: str,
    traces_url: str = "",
) -> Workload:
    """Kong's proxy and status listener; with a database its Admin API too, published on this machine only.

    Without a database nothing could be changed through an Admin API that the next start would know of.
    """
    admin = settings.backend == "database"
    counter = (AllowedConnection(name=valkey.NAME, port=valkey.PORT),) if settings.runs_valkey else ()
    return Workload(
        image=image,
        replicas=settings.nodes,
        most_replicas=settings.most_nodes,
        env={
            **(database_env(settings) if admin else DBLESS),
            **node_env(settings),
            **flood_env(settings),
            **(admin_env(settings) if admin else {}),
            **body_env(gateway),
            **certificate_env(certificate_dir),
            **(TRACING if traces_url else {}),
            **(VERIFY_TLS if backends.tls else {}),
        },
        ports=(
            Port(number=PROXY, published=settings.http_port, public="http"),
            Port(number=PROXY_TLS, published=settings.https_port, public="https"),
            *((Port(number=ADMIN, published=settings.admin_port),) if admin else ()),
            Port(number=STATUS),
        ),
        secret_files=secret_files,
        connects_to=(*backends.connections, *database_connections(settings), *counter),
        reaches_out=(*outside_ports(settings), *port_of(traces_url), *backends.outside),
        networks=backends.networks,
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
        readiness=HttpProbe(port=STATUS, path="/status/ready"),
        liveness=HttpProbe(port=STATUS, path="/status"),  # 200 without a database too
        grace_seconds=GRACE_SECONDS,
        resources=Resources(memory_mib=1024),
    )


def migrations_workload(
    image: str, settings: GatewaySettings, *, step: str, secret_files: Mapping[str, pulumi.Input[str]]
) -> Workload:
    """Runs `kong migrations <step>` to its end; one that finds nothing to do is no error."""
    return Workload(
        image=image,
        args=("kong", "migrations", step),
        env={"KONG_PREFIX": PREFIX, **database_env(settings)},
        secret_files=secret_files,
        connects_to=database_connections(settings),
        reaches_out=outside_ports(settings),
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
    )


def database_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: the database, our own or the one that is named, and its user."""
    host, _, port = (settings.database_address or f"{postgres.NAME}:{postgres.PORT}").rpartition(":")
    return {
        "KONG_DATABASE": "postgres",
        "KONG_PG_HOST": host,
        "KONG_PG_PORT": port,
        "KONG_PG_USER": postgres.USER,
        "KONG_PG_DATABASE": postgres.DATABASE,
        "KONG_PG_PASSWORD_FILE": postgres.PASSWORD_FILE,
    }


def database_connections(settings: GatewaySettings) -> tuple[AllowedConnection, ...]:
    """To our own database, where there is one."""
    return (AllowedConnection(name=postgres.NAME, port=postgres.PORT),) if settings.runs_postgres else ()


def outside_ports(settings: GatewaySettings) -> tuple[int, ...]:
    """Ports of a database or a Redis that the stack file names."""
    named = (settings.redis_address, settings.database_address if settings.backend == "database" else "")
    return tuple(int(address.rpartition(":")[2]) for address in named if address)


def certificate_env(folder: str) -> dict[str, str]:
    """Environment of Kong: the certificate of the public name; without, Kong signs one itself."""
    return {"KONG_SSL_CERT": f"{folder}/tls.crt", "KONG_SSL_CERT_KEY": f"{folder}/tls.key"} if folder else {}


def node_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: listeners, workers and how often it looks for changes."""
    return {
        **update_env(settings),
        "KONG_PREFIX": PREFIX,
        "KONG_PROXY_LISTEN": f"0.0.0.0:{PROXY} reuseport, 0.0.0.0:{PROXY_TLS} http2 ssl reuseport",
        "KONG_ADMIN_LISTEN": f"0.0.0.0:{ADMIN}" if settings.backend == "database" else "off",
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


def admin_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: a token before the Admin API, and its own origin as the only one that may read responses.

    Without the latter Kong names any origin that asks.
    """
    return {"KONG_NGINX_ADMIN_INCLUDE": ADMIN_FILE, "KONG_ADMIN_GUI_URL": f"http://127.0.0.1:{settings.admin_port}"}


def body_env(gateway: Gateway) -> dict[str, str]:
    """Environment of Kong: nginx stops reading at twice the largest limit of a service.

    The plugin refuses first, with CORS headers and for callers with a token only, a body whose length is declared; one
    that comes in chunks is read whole for it. Beyond 128 KiB a body waits on disk.
    """
    plugins = [plugin for service in gateway.services for plugin in service.plugins]
    limits = [plugin.allowed_payload_size for plugin in plugins if isinstance(plugin, RequestSizeLimiting)]
    return {
        "KONG_NGINX_PROXY_CLIENT_MAX_BODY_SIZE": f"{2 * max(limits, default=1)}m",
        "KONG_NGINX_PROXY_CLIENT_BODY_BUFFER_SIZE": "128k",
    }


def flood_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: nginx limits the calls of each client address before any plugin runs, and refuses in JSON.

    The rate-limiting plugin runs after jwt, so a flood without tokens never reaches it. Kong's template writes these
    beside its own directives of the same name; `error_page` adds up, and does not touch the plugin's 429.
    """
    return {
        "KONG_NGINX_HTTP_LIMIT_REQ_ZONE": f"$binary_remote_addr zone=flood:10m rate={settings.flood_per_second}r/s",
        "KONG_NGINX_PROXY_LIMIT_REQ": f"zone=flood burst={settings.flood_burst} nodelay",
        "KONG_NGINX_PROXY_LIMIT_REQ_STATUS": "429",
        "KONG_NGINX_PROXY_ERROR_PAGE": "429 /kong_error_handler",
        "KONG_ERROR_DEFAULT_TYPE": "application/json",
    } | client_address_env(settings)


def client_address_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: how it finds the client's address behind proxies of our own."""
    if not settings.trusted_proxies:
        return {}
    return {
        "KONG_TRUSTED_IPS": ",".join(settings.trusted_proxies),
        "KONG_REAL_IP_HEADER": "X-Forwarded-For",
        "KONG_REAL_IP_RECURSIVE": "on",
    }
