"""Kong with PostgreSQL: the database, its migrations around every change of Kong, and the entities in it."""

from collections.abc import Sequence

import pulumi
import pulumi_kong as kong
from pulumi import ResourceOptions

from components.gateway import postgres
from components.gateway.args import KongGatewayArgs
from components.gateway.entities import AdminApi, publish, span_seconds
from components.gateway.kong_node import ADMIN, NAME, PREFIX, PROXY, kong_node, outside_ports
from platforms.base import Service
from platforms.workload import Call, Workload

# The first prepares an empty database and does nothing to another; the second adds what a newer Kong needs, beside what
# the running one uses; the last drops what only the one before needed, when no node of it runs any more.
BEFORE, AFTER = ("bootstrap", "up"), "finish"


def run_with_database(args: KongGatewayArgs, opts: ResourceOptions) -> tuple[Service, Service]:
    """Kong between its two migrations, and its database with the gateway in it."""
    database = _database(args, opts)
    ready = database.ready
    for step in BEFORE:
        ready = [_migrate(step, args, _after(opts, ready))]
    node = args.platform.run(NAME, database_workload(args), _after(opts, ready))
    finished = _migrate(AFTER, args, _after(opts, node.ready))
    served = _after(ResourceOptions(parent=opts.parent), [*node.ready, finished])
    publish(args.gateway, admin_api(args, node, served, kept_in=database.data[0] if database.data else None))
    return node, database


def _database(args: KongGatewayArgs, opts: ResourceOptions) -> Service:
    """Our own PostgreSQL, unless another one is named."""
    if args.settings.database_address:
        return Service(name="", replicas=0, published={})
    return args.platform.run(
        "postgres",
        postgres.postgres_workload(args.postgres_image, args.postgres_password, args.settings.database_gib),
        opts,
    )


def admin_api(
    args: KongGatewayArgs, node: Service, served: ResourceOptions, *, kept_in: pulumi.Resource | None
) -> AdminApi:
    """The way to the entities, open when Kong is `served` and what the routes lead to is ready."""
    assert served.parent is not None
    assert isinstance(served.depends_on, list)
    own = ResourceOptions(parent=served.parent)
    return AdminApi(
        parent=served.parent,
        provider=kong.Provider("admin", kong_admin_uri=node.plain_url(ADMIN), opts=own),
        secrets=args.secrets,
        proxy_urls=node.public_urls(PROXY),
        span_seconds=span_seconds(args.settings),
        after=[*served.depends_on, *args.backends],
        kept_in=kept_in,
    )


def database_workload(args: KongGatewayArgs) -> Workload:
    """The Admin API is published on this machine only."""
    return kong_node(
        args.kong_image,
        args.settings,
        backend_env=database_env(args),
        secret_files={postgres.PASSWORD_FILE: args.postgres_password},
        calls=(*args.calls, *_database_calls(args)),
        admin=True,
        certificate_dir=args.platform.certificate_dir,
        traces_url=args.traces_url,
    )


def _migrate(step: str, args: KongGatewayArgs, opts: ResourceOptions) -> pulumi.Resource:
    name = "kong-migrations" if step == BEFORE[0] else f"kong-migrations-{step}"
    return args.platform.run_once(name, migrations_workload(step, args), opts)


def migrations_workload(step: str, args: KongGatewayArgs) -> Workload:
    """Runs to its end; one that finds nothing to do is no error."""
    return Workload(
        image=args.kong_image,
        args=("kong", "migrations", step),
        env={"KONG_PREFIX": PREFIX, **database_env(args)},
        secret_files={postgres.PASSWORD_FILE: args.postgres_password},
        calls=_database_calls(args),
        reaches_out=outside_ports(args.settings),
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
    )


def database_env(args: KongGatewayArgs) -> dict[str, str]:
    """Where the database is, and who asks it."""
    host, _, port = (args.settings.database_address or f"postgres:{postgres.PORT}").rpartition(":")
    return {
        "KONG_DATABASE": "postgres",
        "KONG_PG_HOST": host,
        "KONG_PG_PORT": port,
        "KONG_PG_USER": postgres.USER,
        "KONG_PG_DATABASE": postgres.DATABASE,
        "KONG_PG_PASSWORD_FILE": postgres.PASSWORD_FILE,
    }


def _database_calls(args: KongGatewayArgs) -> tuple[Call, ...]:
    return () if args.settings.database_address else (Call(name="postgres", port=postgres.PORT),)


def _after(opts: ResourceOptions, resources: Sequence[pulumi.Resource]) -> ResourceOptions:
    return ResourceOptions.merge(opts, ResourceOptions(depends_on=list(resources)))
