"""Kong as the gateway: with PostgreSQL or without a database, from the same description of routes and plugins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_kong as kong
from pulumi import ResourceOptions

from components.gateway import postgres, valkey
from components.gateway.declarative import document, render_output
from components.gateway.description import Gateway
from components.gateway.entities import AdminApi, publish, span_seconds
from components.gateway.node import (
    ADMIN,
    ADMIN_FILE,
    ADMIN_GUARD,
    ADMIN_TOKEN,
    CONFIG_FILE,
    PROXY,
    Backends,
    kong_workload,
    migrations_workload,
)
from components.gateway.references import REDIS_PASSWORD, fill_output
from components.gateway.settings import GatewaySettings
from platforms.base import Platform, Service, after
from platforms.policy_inputs import policy_inputs
from platforms.workload import Workload

NAME, MIGRATIONS, MONITOR_ROLE = "kong", "kong-migrations", "postgres-monitor-role"
# The first prepares an empty database and does nothing to another; the second adds what a newer Kong needs, beside what
# the running one uses; the last drops what only the one before needed, when no node of it runs any more.
BOOTSTRAP, UP, FINISH = "bootstrap", "up", "finish"


@dataclass(frozen=True, kw_only=True)
class KongGatewayArgs:
    """Where it runs, what it is and publishes, and its secrets (by the names the description uses)."""

    platform: Platform
    settings: GatewaySettings
    kong_image: str
    postgres_image: str
    valkey_image: str
    postgres_password: pulumi.Input[str]
    monitor_password: pulumi.Input[str]  # of the role that may read the database's statistics
    gateway: Gateway
    backends: Backends
    backends_ready: Sequence[pulumi.Resource]  # routes are published only after these
    secrets: Mapping[str, pulumi.Input[str]]
    traces_url: str = ""  # where the gateway sends traces; it makes none without


class KongGateway(pulumi.ComponentResource):
    """Lets through calls with a valid token and within the limits; no route is served before its plugins."""

    database: Service | None = None  # none without a database, or with one that the stack file names
    counter: Service | None = None  # the Valkey in which the nodes count calls together

    def __init__(self, name: str, args: KongGatewayArgs, opts: ResourceOptions | None = None) -> None:
        wanted = workloads(args)
        inputs = policy_inputs(args.settings, wanted) | {"description": document(args.gateway)}
        super().__init__("rag:components:KongGateway", name, inputs, opts)
        child = ResourceOptions(parent=self)
        if valkey.NAME in wanted:
            self.counter = args.platform.run(valkey.NAME, wanted[valkey.NAME], child)
            child = after(child, self.counter.ready)
        if postgres.NAME in wanted:
            self.database = args.platform.run(postgres.NAME, wanted[postgres.NAME], child)
            args.platform.run_once(MONITOR_ROLE, wanted[MONITOR_ROLE], after(child, self.database.ready))
        migrate = MIGRATIONS in wanted
        self.kong = self._run_migrated(args, wanted, child) if migrate else self._run_dbless(args, wanted, child)
        self.admin_url = self.kong.public_url(ADMIN) if migrate else ""
        self.register_outputs({"url": self.kong.public_url(PROXY)})

    def _run_dbless(self, args: KongGatewayArgs, wanted: Mapping[str, Workload], opts: ResourceOptions) -> Service:
        """A node loads routes and plugins in one piece: no route is ever served without its plugins."""
        return args.platform.run(NAME, wanted[NAME], after(opts, args.backends_ready))

    def _run_migrated(self, args: KongGatewayArgs, wanted: Mapping[str, Workload], opts: ResourceOptions) -> Service:
        """Kong between the migrations of its database, and the gateway in that database."""
        bootstrap = wanted[MIGRATIONS]

        def migrate(step: str, ready: Sequence[pulumi.Resource]) -> pulumi.Resource:
            name = MIGRATIONS if step == BOOTSTRAP else f"{MIGRATIONS}-{step}"
            workload = replace(bootstrap, args=("kong", "migrations", step))
            return args.platform.run_once(name, workload, after(opts, ready))

        first = migrate(BOOTSTRAP, self.database.ready if self.database else ())
        node = args.platform.run(NAME, wanted[NAME], after(opts, [migrate(UP, [first])]))
        token = pulumi.Output.secret(args.secrets[ADMIN_TOKEN])
        own = ResourceOptions(parent=self)
        api = AdminApi(
            parent=self,
            provider=kong.Provider("admin", kong_admin_uri=node.plain_url(ADMIN), kong_admin_token=token, opts=own),
            secrets=args.secrets,
            proxy_urls=node.public_urls(PROXY),
            span_seconds=span_seconds(args.settings),
            after=[*node.ready, migrate(FINISH, node.ready), *args.backends_ready],
            kept_in=self.database.data[0] if self.database else None,
        )
        publish(args.gateway, api)
        return node


def workloads(args: KongGatewayArgs) -> dict[str, Workload]:
    """Name -> what runs; a database or a Redis that the stack file names takes the place of ours."""
    settings = args.settings
    password = {postgres.PASSWORD_FILE: args.postgres_password}
    database = settings.backend == "database"
    declared = {} if database else {CONFIG_FILE: render_output(args.gateway, args.secrets)}
    found = {
        NAME: kong_workload(
            args.kong_image,
            settings,
            backends=args.backends,
            gateway=args.gateway,
            secret_files={**password, ADMIN_FILE: fill_output(ADMIN_GUARD, args.secrets)} if database else declared,
            certificate_dir=args.platform.certificate_dir,
            traces_url=args.traces_url,
        )
    }
    if database:
        found[MIGRATIONS] = migrations_workload(args.kong_image, settings, step=BOOTSTRAP, secret_files=password)
    if settings.runs_postgres:
        size = settings.database_gib
        found[postgres.NAME] = postgres.postgres_workload(args.postgres_image, args.postgres_password, size)
        found[MONITOR_ROLE] = postgres.monitor_role_workload(
            args.postgres_image, args.postgres_password, args.monitor_password
        )
    if settings.runs_valkey:
        found[valkey.NAME] = valkey.valkey_workload(args.valkey_image, args.secrets[REDIS_PASSWORD])
    return found
