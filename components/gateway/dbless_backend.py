"""Kong without a database: the whole gateway is one file, and another gateway is another file."""

import pulumi

from components.gateway.args import KongGatewayArgs
from components.gateway.declarative import render_output
from components.gateway.kong_node import NAME, kong_node
from platforms.base import Service
from platforms.workload import Workload

CONFIG_FILE = "/etc/kong/kong.yml"


def run_dbless(args: KongGatewayArgs, opts: pulumi.ResourceOptions) -> tuple[Service, None]:
    """Kong, and no database. A node loads routes and guards in one piece: no route is ever served without them."""
    after_backends = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(args.backends)))
    return args.platform.run(NAME, dbless_workload(args), after_backends), None


def dbless_workload(args: KongGatewayArgs) -> Workload:
    """No Admin API: nothing could be changed through it that the next start would know of."""
    return kong_node(
        args.kong_image,
        args.settings,
        backend_env={"KONG_DATABASE": "off", "KONG_DECLARATIVE_CONFIG": CONFIG_FILE},
        secret_files={CONFIG_FILE: render_output(args.gateway, args.secrets)},
        calls=args.calls,
        admin=False,
        certificate_dir=args.platform.certificate_dir,
        traces_url=args.traces_url,
    )
