"""All packs, and every rule there is."""

from dataclasses import dataclass
from types import ModuleType

from policies.gateway import admin_rules, limit_rules, route_rules
from policies.reliability import alert_rules, disruption_rules, node_rules, replication_rules, storage_rules
from policies.reliability.transition_rules import TRANSITIONS
from policies.rule import Rule
from policies.security import (
    exception_rules,
    exposure_rules,
    image_rules,
    label_rules,
    pod_rules,
    privilege_rules,
    secret_rules,
)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Rules that are run together; `name` is what the engine calls it."""

    name: str
    title: str
    rules: tuple[Rule, ...]


def rules_in(*modules: ModuleType) -> tuple[Rule, ...]:
    """Every rule that the modules define, in the order of their text."""
    return tuple(found for module in modules for found in vars(module).values() if isinstance(found, Rule))


RELIABILITY = Pack(
    name="reliability",
    title="Data that is there, and stays",
    rules=rules_in(replication_rules, node_rules, storage_rules, disruption_rules, alert_rules),
)
GATEWAY = Pack(
    name="gateway",
    title="Whom the gateway lets in, and how often",
    rules=rules_in(route_rules, limit_rules, admin_rules),
)
SECURITY = Pack(
    name="security",
    title="Nothing given away",
    rules=rules_in(
        image_rules,
        secret_rules,
        exposure_rules,
        privilege_rules,
        pod_rules,
        label_rules,
        exception_rules,
    ),
)
PACKS = (RELIABILITY, GATEWAY, SECURITY)
RULES: tuple[Rule, ...] = tuple(rule for pack in PACKS for rule in pack.rules)
NAMES = frozenset(rule.name for rule in (*RULES, *TRANSITIONS))
ALL = Pack(name="rag-platform", title="Every rule", rules=RULES)
