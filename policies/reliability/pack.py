"""The rules of this pack."""

from policies.pack import Pack
from policies.reliability import disruption_rules, node_rules, replication_rules, storage_rules

PACK = Pack(
    name="reliability",
    title="Data that is there, and stays",
    rules=(*replication_rules.RULES, *node_rules.RULES, *storage_rules.RULES, *disruption_rules.RULES),
)
