"""Kong as the gateway: with PostgreSQL or without a database, from the same description of routes and guards."""

import pulumi
from pulumi import ResourceOptions

from components import valkey
from components.gateway.rag import REDIS_PASSWORD
from components.kong_args import KongGatewayArgs
from components.kong_database import run_with_database
from components.kong_dbless import run_dbless
from components.kong_node import ADMIN, PROXY, PROXY_TLS, STATUS

__all__ = ["ADMIN", "PROXY", "PROXY_TLS", "STATUS", "KongGateway", "KongGatewayArgs"]


class KongGateway(pulumi.ComponentResource):
    """Lets through what carries a valid token and keeps within its limits; nothing passes a route before its guards."""

    def __init__(self, name: str, args: KongGatewayArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:KongGateway", name, args.settings.model_dump(), opts)
        child = ResourceOptions(parent=self)
        ready = self._counter(args, child)
        counted = ResourceOptions(parent=self, depends_on=ready)
        run = run_dbless if args.settings.backend == "dbless" else run_with_database
        self.kong = run(args, counted)
        self.admin_url = self.kong.public_url(ADMIN) if args.settings.backend == "database" else ""
        self.register_outputs({"url": self.kong.public_url(PROXY)})

    def _counter(self, args: KongGatewayArgs, opts: ResourceOptions) -> list[pulumi.Resource]:
        """Where several nodes count together, unless a Redis of somebody else's is named."""
        if args.settings.rate_limit_policy != "redis" or args.settings.redis_address:
            return []
        workload = valkey.valkey_workload(args.valkey_image, args.secrets[REDIS_PASSWORD])
        return list(args.platform.run(valkey.NAME, workload, opts).ready)
