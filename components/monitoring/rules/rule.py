"""The words of a Prometheus rule file: recording and alert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RUNBOOKS = "docs/runbooks.md"

# page: users feel it, or the next fault costs data or service; wake someone. ticket: look at it this working day.
# none: nobody is told; it is there to be seen.
Severity = Literal["page", "ticket", "none"]


@dataclass(frozen=True)
class Recording:
    """A series computed once, for panels and alerts to use under one name."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        """Return the rule as Prometheus reads it."""
        rule: dict[str, object] = {"record": self.name, "expr": self.expr}
        return rule | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A condition that wants a person once it was true for `wait`; `description` says the value it was seen with."""

    name: str
    expr: str
    wait: str = "1m"
    severity: Severity = "ticket"
    summary: str
    description: str

    def body(self) -> dict[str, object]:
        """Return the rule as Prometheus reads it; the runbook section bears the alert's name."""
        notes = {"summary": self.summary, "description": self.description}
        notes["runbook_url"] = f"{RUNBOOKS}#{self.name.lower()}"
        head = {"alert": self.name, "expr": self.expr, "for": self.wait}
        return {**head, "labels": {"severity": self.severity}, "annotations": notes}


Rules = tuple[Recording | Alert, ...]
