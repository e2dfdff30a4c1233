"""The rules of this pack."""

from policies.gateway import admin_rules, limit_rules, route_rules
from policies.pack import Pack

PACK = Pack(
    name="gateway",
    title="Whom the gateway lets in, and how often",
    rules=(*route_rules.RULES, *limit_rules.RULES, *admin_rules.RULES),
)
