"""What the engine would do, from the events of its preview."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi.automation.events import EngineEvent

Kind = Literal["create", "change", "replace", "delete"]
# The engine tells a replacement in up to three steps; "replace" is the one that both orders have.
KINDS: Mapping[str, Kind] = {"create": "create", "update": "change", "replace": "replace", "delete": "delete"}
NOT_OURS = ("pulumi:pulumi:", "pulumi:providers:")  # the stack itself, and the plugins
REMEDIED = re.compile(r"^\s*- \[remediate\]\s+(?P<rule>\S+)\s+\((?P<where>.+)\)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that would not stay as it is; `keys` are the inputs that differ."""

    kind: Kind
    type: str
    name: str
    keys: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = False  # leaves the state, and not the world

    @property
    def short_type(self) -> str:
        return self.type.rpartition(":")[2].rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a policy said of a resource."""

    rule: str
    level: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """In the order of the engine: changes, findings, and what policies mended by themselves (rule, where)."""

    changes: Sequence[Change] = ()
    findings: Sequence[Finding] = ()
    remedied: Sequence[tuple[str, str]] = ()
    unchanged: int = 0

    @property
    def refused(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "mandatory"]


def plan_of(events: Sequence[EngineEvent], printed: str = "") -> Plan:
    """The plan; what policies mended stands only in what the CLI `printed`, and not in the SDK's events."""
    steps = [event.resource_pre_event.metadata for event in events if event.resource_pre_event]
    ours = [step for step in steps if not step.type.startswith(NOT_OURS)]
    changes = [_change(step) for step in ours if step.op.value in KINDS]
    said = [event.policy_event for event in events if event.policy_event]
    return Plan(
        changes=changes,
        findings=[Finding(rule=f.policy_name, level=str(f.enforcement_level), text=_advice(f.message)) for f in said],
        remedied=[(found["rule"], found["where"]) for found in REMEDIED.finditer(printed)],
        unchanged=sum(step.op.value == "same" for step in ours),
    )


def _change(step: Any) -> Change:
    before, after = step.old, step.new
    return Change(
        kind=KINDS[step.op.value],
        type=step.type,
        name=step.urn.rpartition("::")[2],
        keys=_keys(step),
        before=(before.inputs if before else None) or {},
        after=(after.inputs if after else None) or {},
        kept=bool(before and before.retain_on_delete),
    )


def _keys(step: Any) -> tuple[str, ...]:
    """Top-level names of what differs, those that force a replacement first."""
    paths = [*(step.keys or []), *(step.diffs or []), *(step.detailed_diff or {})]
    names = (re.split(r"[.\[]", path)[0] for path in paths)
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("__")))


def _advice(message: str) -> str:
    """Without the rule's promise, which stands in the first line."""
    return message.strip().partition("\n")[2].strip() or message.strip()
