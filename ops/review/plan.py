"""What the engine would do, from the events of its preview."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi.automation.events import DiffKind, EngineEvent, OpType

Kind = Literal["unknown", "replace", "delete", "import", "change", "forget", "create"]
# Every operation of the engine (sdk/go/common/apitype). A replacement is reported in up to three steps, of which
# "replace" stands in for the others. "delete-replaced" alone deletes what an interrupted run had replaced already.
KINDS: Mapping[str, Kind] = {
    "create": "create",
    "update": "change",
    "delete": "delete",
    "delete-replaced": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "read-replacement": "replace",
    "import-replacement": "replace",
    "import": "import",
    "discard": "forget",
    "discard-replaced": "forget",
}
REPLACEMENT = {operation for operation, kind in KINDS.items() if kind == "replace"} | {
    "delete-replaced",
    "discard-replaced",
}
UNCHANGED = {"same", "read", "refresh", "remove-pending-replace"}  # nothing outside the state is made or deleted
ADVICE = {"advisory", "warning", "none", "disabled"}  # levels of a policy that stop nothing
SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # marks a secret in the engine's values
MASK = "[secret]"
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
    operation: str = ""  # the engine's name for it

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
        """Findings that stop the plan: of every level that is not known to be advice."""
        return [finding for finding in self.findings if finding.level not in ADVICE]


def plan_of(events: Sequence[EngineEvent], printed: str = "") -> Plan:
    """The plan; what policies mended stands only in what the CLI `printed`, and not in the SDK's events."""
    steps = [event.resource_pre_event.metadata for event in events if event.resource_pre_event]
    ours = [step for step in steps if not step.type.startswith(NOT_OURS)]
    said = [event.policy_event for event in events if event.policy_event]
    return Plan(
        changes=[_change(step) for step in _changing(ours)],
        findings=[Finding(rule=f.policy_name, level=str(f.enforcement_level), text=_advice(f.message)) for f in said],
        remedied=[(found["rule"], found["where"]) for found in REMEDIED.finditer(printed)],
        unchanged=sum(step.op.value == "same" for step in ours),
    )


def _changing(steps: Sequence[Any]) -> Iterator[Any]:
    """One step for each change, in the order of the engine."""
    replaced: dict[str, Any] = {}
    for step in steps:
        if KINDS.get(step.op.value) == "replace" and (step.urn not in replaced or step.op.value == "replace"):
            replaced[step.urn] = step
    for step in steps:
        partial = step.urn in replaced and step.op.value in REPLACEMENT
        if step.op.value not in UNCHANGED and (not partial or step is replaced[step.urn]):
            yield step


def _change(step: Any) -> Change:
    before, after = step.old, step.new
    return Change(
        kind=KINDS.get(step.op.value, "unknown"),
        operation=step.op.value,
        type=step.type,
        name=step.urn.rpartition("::")[2],
        keys=_keys(step),
        before=without_secrets((before.inputs if before else None) or {}),
        after=without_secrets((after.inputs if after else None) or {}),
        kept=bool(before and before.retain_on_delete),
    )


def without_secrets(value: Any) -> Any:
    """The value with a mask in the place of every secret, nested ones and those in JSON text included."""
    if isinstance(value, Mapping):
        return MASK if SIGNATURE in value.values() else {key: without_secrets(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return MASK if isinstance(value, str) and SIGNATURE in value else value


def _keys(step: Any) -> tuple[str, ...]:
    """Top-level names of what differs, those that force a replacement first."""
    paths = [*(step.keys or []), *(step.diffs or []), *(step.detailed_diff or {})]
    names = (re.split(r"[.\[]", path.removeprefix('["'))[0].removesuffix('"]') for path in paths)
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("__")))


def _advice(message: str) -> str:
    """Without the rule's promise, which stands in the first line."""
    return message.strip().partition("\n")[2].strip() or message.strip()


def _accept_unknown(kind: type[OpType] | type[DiffKind]) -> None:
    """Let the SDK read a name that it does not know: it would end the reading of all events after it, in silence."""

    def missing(cls: type[Any], value: object) -> Any:
        member = str.__new__(cls, value)
        member._name_, member._value_ = str(value), str(value)
        return member

    kind._missing_ = classmethod(missing)  # type: ignore[method-assign, assignment]


for _kind in (OpType, DiffKind):
    _accept_unknown(_kind)
