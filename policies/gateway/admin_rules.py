"""Who can change the gateway."""

from collections.abc import Sequence

from policies.declared import KONG, environment, items, mapping, workload
from policies.gateway.reading import NODES
from policies.rule import Setting, Subject, Violation, Violations, rule

SERVICE = ("kubernetes:core/v1:Service",)
ADMIN_PORTS = {8001: "Admin API", 8444: "Admin API", 8002: "GUI", 8445: "GUI"}


@rule(
    on=(*KONG, *SERVICE),
    reason="Kong's Admin API asks nobody who he is: whoever reaches it opens every route and reads every secret.",
    remedy="Write `KONG_ADMIN_GUI_LISTEN: off`; publish 8001 on 127.0.0.1 alone (that is all Docker does here), and "
    "on Kubernetes listen on 127.0.0.1, or not at all.",
    published=Setting(True, "whether 8001 may be published on this machine's own address, for pulumi-kong"),
)
def the_admin_api_is_private(subject: Subject, *, published: bool) -> Violations:
    """Neither the Admin API nor the GUI can be reached by the public."""
    if subject.type in SERVICE:
        spec = mapping(subject.inputs.get("spec"))
        if spec.get("type") in ("LoadBalancer", "NodePort"):
            yield from _offered(subject, [mapping(port) for port in items(spec.get("ports"))])
        return
    kong = workload(subject, NODES)
    env, where = environment(kong), subject.at(NODES)
    if kong and env.get("KONG_ADMIN_GUI_LISTEN") != "off":
        yield Violation(where, "serves the GUI to everybody by default; write KONG_ADMIN_GUI_LISTEN: off")
    for port in map(mapping, items(kong.get("ports"))):
        if port.get("number") in ADMIN_PORTS and port.get("published") and not published:
            yield Violation(where, f"publishes {port['number']}; leave it out, and use declarative configuration")


def _offered(subject: Subject, ports: Sequence[object]) -> Violations:
    for port in map(mapping, ports):
        for number in (port.get("port"), port.get("targetPort")):
            if number in ADMIN_PORTS or number == "admin":
                yield Violation(subject.name, f"offers the {ADMIN_PORTS.get(number, 'Admin API')} outside; take it out")
                break


RULES = (the_admin_api_is_private,)
