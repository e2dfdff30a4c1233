"""From where the gateway can be changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from policies.declared import KONG, SERVICE, environment, mappings, spec, workload
from policies.gateway.reading import NODES
from policies.rule import Setting, Subject, Violation, Violations, rule

ADMIN_PORTS = {8001: "Admin API", 8444: "Admin API", 8002: "GUI", 8445: "GUI"}


@rule(
    on=(*KONG, *SERVICE),
    reason="Kong's Admin API authenticates no caller: any that reaches it can open every route and read every secret.",
    remedy="Write `KONG_ADMIN_GUI_LISTEN: off`; let nginx ask for a token before the Admin API "
    "(`KONG_NGINX_ADMIN_INCLUDE`), publish 8001 on 127.0.0.1 alone, or listen not at all.",
    published=Setting(True, "whether 8001 may be published on this machine's own address, for pulumi-kong"),
)
def the_admin_api_is_private(subject: Subject, *, published: bool) -> Violations:
    """Neither the Admin API nor the GUI can be reached by the public."""
    if subject.type in SERVICE:
        if spec(subject).get("type") in ("LoadBalancer", "NodePort"):
            yield from _offered(subject, mappings(spec(subject).get("ports")))
        return
    kong = workload(subject, NODES)
    env, where = environment(kong), subject.at(NODES)
    if kong and env.get("KONG_ADMIN_GUI_LISTEN") != "off":
        yield Violation(where, "serves the GUI to all by default; write KONG_ADMIN_GUI_LISTEN: off")
    if env.get("KONG_ADMIN_LISTEN", "off") != "off" and not env.get("KONG_NGINX_ADMIN_INCLUDE"):
        yield Violation(where, "serves its Admin API to every neighbour; ask for a token, KONG_NGINX_ADMIN_INCLUDE")
    if env.get("KONG_ADMIN_LISTEN", "off") != "off" and not env.get("KONG_ADMIN_GUI_URL"):
        yield Violation(where, "lets every web page read its Admin API; name one origin, KONG_ADMIN_GUI_URL")
    for port in mappings(kong.get("ports")):
        if port.get("number") in ADMIN_PORTS and port.get("published") and not published:
            yield Violation(where, f"publishes {port['number']}; leave it out, and use declarative configuration")


def _offered(subject: Subject, ports: Iterable[Mapping[str, Any]]) -> Violations:
    for port in ports:
        for number in (port.get("port"), port.get("targetPort")):
            if number in ADMIN_PORTS or number == "admin":
                yield Violation(subject.name, f"offers the {ADMIN_PORTS.get(number, 'Admin API')} outside; take it out")
                break
