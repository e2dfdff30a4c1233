"""Kong as the gateway: PostgreSQL, its migrations, Kong itself, and what our gateway says of routes and guards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kong as kong
from pulumi import ResourceOptions

from components import postgres
from components.gateway.database import AdminApi, publish, span_seconds, update_env
from components.gateway.description import Gateway
from components.gateway.flood import flood_env
from components.gateway.settings import GatewaySettings
from platforms.base import Platform, Service
from platforms.workload import HttpProbe, Port, Resources, Workload

PROXY, PROXY_TLS, ADMIN, STATUS = 8000, 8443, 8001, 8100
WORKERS = 2
# Without these the opentelemetry plugin has no spans to send: a call's own, and one for each target tried.
TRACING = {"KONG_TRACING_INSTRUMENTATIONS": "request,balancer", "KONG_TRACING_SAMPLING_RATE": "1"}


@dataclass(frozen=True, kw_only=True)
class KongGatewayArgs:
    """Where it runs, what it is and publishes, and its secrets (by the names the description uses)."""

    platform: Platform
    settings: GatewaySettings
    kong_image: str
    postgres_image: str
    postgres_password: pulumi.Input[str]
    gateway: Gateway
    backends: Sequence[pulumi.Resource]  # what the routes lead to: published only when it is ready
    secrets: Mapping[str, pulumi.Input[str]]
    traces: bool = False  # whether the gateway makes any


class KongGateway(pulumi.ComponentResource):
    """Lets through what carries a valid token and keeps within its limits; nothing passes a route before its guards."""

    def __init__(self, name: str, args: KongGatewayArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:KongGateway", name, args.settings.model_dump(), opts)
        child = ResourceOptions(parent=self)
        database = args.platform.run(
            "postgres", postgres.postgres_workload(args.postgres_image, args.postgres_password), child
        )
        after_database = ResourceOptions(parent=self, depends_on=list(database.ready))
        migrated = args.platform.run_once("kong-migrations", migrations_workload(args), after_database)
        after_migrations = ResourceOptions(parent=self, depends_on=[migrated])
        self.kong = args.platform.run("kong", kong_workload(args), after_migrations)
        admin = kong.Provider("admin", kong_admin_uri=self.kong.public_url(ADMIN), opts=child)
        self.database = database
        self.routes = publish(args.gateway, self._admin_api(args, admin, database))
        self.register_outputs({"url": self.kong.public_url(PROXY)})

    def _admin_api(self, args: KongGatewayArgs, provider: kong.Provider, database: Service) -> AdminApi:
        return AdminApi(
            parent=self,
            provider=provider,
            secrets=args.secrets,
            proxy_urls=self.kong.public_urls(PROXY),
            span_seconds=span_seconds(args.settings),
            after=[*self.kong.ready, *args.backends],
            kept_in=database.data[0] if database.data else None,
        )


def kong_workload(args: KongGatewayArgs) -> Workload:
    """Kong's proxy, Admin API and status listener; the Admin API is published on this machine only."""
    settings = args.settings
    return Workload(
        image=args.kong_image,
        env={
            **_database_env(),
            **update_env(settings),
            **flood_env(settings),
            **(TRACING if args.traces else {}),
            "KONG_PROXY_LISTEN": f"0.0.0.0:{PROXY} reuseport, 0.0.0.0:{PROXY_TLS} http2 ssl reuseport",
            "KONG_ADMIN_LISTEN": f"0.0.0.0:{ADMIN}",
            "KONG_ADMIN_GUI_LISTEN": "off",
            "KONG_STATUS_LISTEN": f"0.0.0.0:{STATUS}",
            "KONG_NGINX_WORKER_PROCESSES": str(WORKERS),
            "KONG_ANONYMOUS_REPORTS": "off",
            "KONG_PROXY_ACCESS_LOG": "off",
            # A replaced neighbour has another address; Docker's DNS would let Kong believe the old one for 10 minutes.
            "KONG_DNS_VALID_TTL": "5",
            "KONG_DNS_STALE_TTL": "5",
            "KONG_DNS_NOT_FOUND_TTL": "1",  # and a name that was gone for a moment would stay unknown for 30 s
        },
        ports=(
            Port(number=PROXY, published=settings.http_port),
            Port(number=PROXY_TLS, published=settings.https_port),
            Port(number=ADMIN, published=settings.admin_port),
            Port(number=STATUS),
        ),
        secret_files={postgres.PASSWORD_FILE: args.postgres_password},
        readiness=HttpProbe(port=STATUS, path="/status/ready"),
        resources=Resources(memory_mib=1024),
    )


def migrations_workload(args: KongGatewayArgs) -> Workload:
    """Prepares an empty database; one that is prepared already is no error (and is not migrated to another Kong)."""
    return Workload(
        image=args.kong_image,
        args=("kong", "migrations", "bootstrap"),
        env=_database_env(),
        secret_files={postgres.PASSWORD_FILE: args.postgres_password},
    )


def _database_env() -> dict[str, str]:
    return {
        "KONG_DATABASE": "postgres",
        "KONG_PG_HOST": "postgres",
        "KONG_PG_USER": postgres.USER,
        "KONG_PG_DATABASE": postgres.DATABASE,
        "KONG_PG_PASSWORD_FILE": postgres.PASSWORD_FILE,
    }
