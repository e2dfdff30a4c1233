"""A rule: a name for the good state, the reason for it, and a predicate from plain data to violations."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Level = Literal["advisory", "mandatory", "remediate", "disabled"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A resource as the program declares it; what is not known yet at preview is left out of its inputs."""

    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    protected: bool = False
    stack: str = ""

    def at(self, part: str) -> str:
        """Where a violation is, for people and for exceptions: `gateway/kong`."""
        return f"{self.name}/{part}" if part else self.name


@dataclass(frozen=True)
class Violation:
    """Advice: `text` is what is wrong and what to write instead, `where` the resource, or part of one."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Setting:
    """What a stack may choose about a rule, with `--policy-pack-config`."""

    default: Any
    meaning: str

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        kinds = {bool: "boolean", int: "integer", str: "string"}
        shape: dict[str, Any] = {"type": kinds.get(type(self.default), "array")}
        if shape["type"] == "array":
            shape["items"] = {"type": "string"}
        return shape | {"default": self.default, "description": self.meaning}


Violations = Iterable[Violation]
Check = Callable[..., Violations]
Remediation = Callable[[Subject], dict[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`check` gets one subject, or with `whole_stack` all of them; only those of a type that matches `on`."""

    name: str
    promise: str
    reason: str
    remedy: str
    on: tuple[str, ...]
    check: Check
    settings: Mapping[str, Setting]
    whole_stack: bool = False
    level: Level = "mandatory"
    remediation: Remediation | None = None

    def applies_to(self, kind: str) -> bool:
        return any(fnmatchcase(kind, pattern) for pattern in self.on)

    def judge(self, subjects: Sequence[Subject], chosen: Mapping[str, Any] | None = None) -> list[Violation]:
        """What is wrong with these subjects, by the settings chosen (default: the rule's own)."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        settings = defaults | {name: value for name, value in (chosen or {}).items() if name in defaults}
        ours = [subject for subject in subjects if self.applies_to(subject.type)]
        if self.whole_stack:
            return list(self.check(ours, **settings)) if ours else []
        return [violation for subject in ours for violation in self.check(subject, **settings)]


def rule(
    *,
    on: Sequence[str],
    reason: str,
    remedy: str,
    whole_stack: bool = False,
    level: Level = "mandatory",
    remediation: Remediation | None = None,
    **settings: Setting,
) -> Callable[[Check], Rule]:
    """Make a rule of a predicate: its name becomes the rule's, its docstring the promise."""

    def made(check: Check) -> Rule:
        return Rule(
            name=check.__name__.replace("_", "-"),
            promise=inspect.getdoc(check) or "",
            reason=reason,
            remedy=remedy,
            on=tuple(on),
            check=check,
            settings=settings,
            whole_stack=whole_stack,
            level=level,
            remediation=remediation,
        )

    return made
