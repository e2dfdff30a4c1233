"""Kong as the gateway: with PostgreSQL or without a database, from the same description of routes and guards."""

from typing import Any

import pulumi
from pulumi import ResourceOptions

from components.gateway import postgres, valkey
from components.gateway.args import KongGatewayArgs
from components.gateway.database_backend import BEFORE, database_workload, migrations_workload, run_with_database
from components.gateway.dbless_backend import dbless_workload, run_dbless
from components.gateway.declarative import document
from components.gateway.kong_node import ADMIN, NAME, PROXY, PROXY_TLS, STATUS
from components.gateway.rag import REDIS_PASSWORD
from platforms.base import Service
from platforms.policy_inputs import declared
from platforms.workload import Workload

__all__ = ["ADMIN", "PROXY", "PROXY_TLS", "STATUS", "KongGateway", "KongGatewayArgs"]


class KongGateway(pulumi.ComponentResource):
    """Lets through what carries a valid token and keeps within its limits; nothing passes a route before its guards."""

    def __init__(self, name: str, args: KongGatewayArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:KongGateway", name, gateway_inputs(args), opts)
        child = ResourceOptions(parent=self)
        self.counter = self._counter(args, child)
        counted = ResourceOptions(parent=self, depends_on=list(self.counter.ready) if self.counter else [])
        run = run_dbless if args.settings.backend == "dbless" else run_with_database
        self.kong: Service
        self.database: Service | None
        self.kong, self.database = run(args, counted)
        self.admin_url = self.kong.public_url(ADMIN) if args.settings.backend == "database" else ""
        self.register_outputs({"url": self.kong.public_url(PROXY)})

    def _counter(self, args: KongGatewayArgs, opts: ResourceOptions) -> Service | None:
        if not _counts_in_our_own(args):
            return None
        return args.platform.run(valkey.NAME, _counter_workload(args), opts)


def gateway_inputs(args: KongGatewayArgs) -> dict[str, Any]:
    """What previews and policies see of the gateway: its description too, in which secrets are references."""
    settings = args.settings
    dbless = settings.backend == "dbless"
    workloads = {NAME: dbless_workload(args) if dbless else database_workload(args)}
    if not dbless:
        workloads["kong-migrations"] = migrations_workload(BEFORE[0], args)
    if not dbless and not settings.database_address:
        password, size = args.postgres_password, settings.database_gib
        workloads["postgres"] = postgres.postgres_workload(args.postgres_image, password, size)
    if _counts_in_our_own(args):
        workloads[valkey.NAME] = _counter_workload(args)
    plain = {name: declared(workload) for name, workload in workloads.items()}
    return {**settings.model_dump(), "workloads": plain, "description": document(args.gateway)}


def _counts_in_our_own(args: KongGatewayArgs) -> bool:
    """Several nodes count together in our own Valkey, unless a Redis of somebody else's is named."""
    return args.settings.rate_limit_policy == "redis" and not args.settings.redis_address


def _counter_workload(args: KongGatewayArgs) -> Workload:
    return valkey.valkey_workload(args.valkey_image, args.secrets[REDIS_PASSWORD])
