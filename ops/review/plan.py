"""What the engine would do, from the events of its preview."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi.automation import OpType
from pulumi.automation.events import EngineEvent

Kind = Literal["create", "change", "replace", "delete", "import"]
# Every operation of the engine. What only reads, or only changes the engine's own record, is no change of the stack.
KINDS: Mapping[str, Kind | None] = {
    "create": "create",
    "update": "change",
    "delete": "delete",
    "import": "import",
    "replace": "replace",
    "import-replacement": "replace",
    "create-replacement": "replace",
    # By itself it deletes what an interrupted run had replaced.
    "delete-replaced": "delete",
    **dict.fromkeys(("same", "read", "refresh", "discard", "remove-pending-replace")),
    **dict.fromkeys(("read-replacement", "discard-replaced")),
}
# The engine reports a replacement in up to three steps; the first of these that is there has the inputs that differ.
OF_A_REPLACEMENT = ("replace", "import-replacement", "create-replacement")
SECRET_MARK = "4dabf18193072939515e22adb298388d"  # noqa: S105  the key of a wrapped value, in every engine
SECRET = "[secret]"  # noqa: S105  what is shown in its place
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
    unknown: Sequence[str] = ()  # operations that this program does not know, as `operation resource`

    @property
    def refused(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "mandatory"]


def plan_of(events: Sequence[EngineEvent], printed: str = "") -> Plan:
    """The plan; what policies mended stands only in what the CLI `printed`, and not in the SDK's events."""
    steps = [event.resource_pre_event.metadata for event in events if event.resource_pre_event]
    ours: dict[str, list[Any]] = {}
    for step in steps:
        if not step.type.startswith(NOT_OURS):
            ours.setdefault(step.urn, []).append(step)
    said = [event.policy_event for event in events if event.policy_event]
    return Plan(
        changes=[change for of_one in ours.values() for change in _changes(of_one)],
        findings=[Finding(rule=f.policy_name, level=str(f.enforcement_level), text=_advice(f.message)) for f in said],
        remedied=[(found["rule"], found["where"]) for found in REMEDIED.finditer(printed)],
        unchanged=sum(step.op.value == "same" for of_one in ours.values() for step in of_one),
        unknown=[f"{step.op.value} {_name(step)}" for step in steps if step.op.value not in KINDS],
    )


def _keep_unknown_operations() -> None:
    """The SDK drops the event of an operation that it does not know, with a warning: the gate has to stop for it."""

    def kept(cls: type[OpType], value: str) -> OpType:
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member

    OpType._missing_ = classmethod(kept)  # type: ignore[method-assign,assignment]


_keep_unknown_operations()


def _changes(steps: Iterable[Any]) -> list[Change]:
    """What the steps of one resource come to: a replacement is one change."""
    found = {step.op.value: step for step in steps if KINDS.get(step.op.value)}
    of_replacement = [op for op in OF_A_REPLACEMENT if op in found]
    if of_replacement:
        halves = {*OF_A_REPLACEMENT, "delete-replaced"}
        found = {op: step for op, step in found.items() if op not in halves} | {"replace": found[of_replacement[0]]}
    return [_change(kind, step) for op, step in found.items() if (kind := KINDS[op])]


def _change(kind: Kind, step: Any) -> Change:
    before, after = step.old, step.new
    return Change(
        kind=kind,
        type=step.type,
        name=_name(step),
        keys=_keys(step),
        before=_without_secrets((before.inputs if before else None) or {}),
        after=_without_secrets((after.inputs if after else None) or {}),
        kept=bool(before and before.retain_on_delete),
    )


def _name(step: Any) -> str:
    return str(step.urn.rpartition("::")[2])


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return SECRET if SECRET_MARK in value else {key: _without_secrets(each) for key, each in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value


def _keys(step: Any) -> tuple[str, ...]:
    """Top-level names of what differs, those that force a replacement first."""
    paths = [*(step.keys or []), *(step.diffs or []), *(step.detailed_diff or {})]
    names = (re.split(r"[.\[]", path)[0] for path in paths)
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("__")))


def _advice(message: str) -> str:
    """Without the rule's promise, which stands in the first line."""
    return message.strip().partition("\n")[2].strip() or message.strip()
