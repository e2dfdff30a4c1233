"""All packs, and every rule there is."""

from policies.gateway.pack import PACK as GATEWAY
from policies.pack import Pack
from policies.reliability.pack import PACK as RELIABILITY
from policies.reliability.transition_rules import TRANSITIONS
from policies.rule import Rule
from policies.security.pack import PACK as SECURITY

PACKS = (RELIABILITY, GATEWAY, SECURITY)
RULES: tuple[Rule, ...] = tuple(rule for pack in PACKS for rule in pack.rules)
NAMES = frozenset(rule.name for rule in (*RULES, *TRANSITIONS))
ALL = Pack(name="rag-platform", title="Every rule", rules=RULES)
