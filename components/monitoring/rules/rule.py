"""The entries of a Prometheus rule file: recordings and alerts, and two alerts that every part has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RUNBOOKS = "docs/runbooks.md"

# page: users feel it, or the next fault costs data or service; it cannot wait. ticket: for this working day.
# none: it is routed to no receiver.
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
    """A condition that needs a person once it was true for `wait`; `description` has the value."""

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


def target_down(name: str, *, job: str, summary: str, label: str = "instance") -> Alert:
    """Return the page for a target that fails its scrapes; `label` names it."""
    return Alert(
        name=name,
        expr=f'up{{job="{job}"}} == 0',
        severity="page",
        summary=summary,
        description=f"{{{{ $labels.{label} }}}} has failed every scrape for a minute (up is {{{{ $value }}}}).",
    )


def events(counter: str, window: str, by: str = "") -> str:
    """Return how often a counter rose within the window, the first rise of a series included.

    A series that begins with its first event has no increase: its first value is the number of its events.
    """
    of = f"sum by ({by})" if by else "sum"
    return f"{of}(increase({counter}[{window}])) > 0 or {of}({counter} unless {counter} offset {window}) > 0"


def metrics_missing(subject: str, *, job: str, metric: str) -> Alert:
    """Return the alert for a target whose scrapes succeed without the metric: the alerts made of it are silent.

    `up` covers a target whose scrapes fail.
    """
    return Alert(
        name=f"{subject}MetricsMissing",
        expr=f'up{{job="{job}"}} == 1 unless on (job, instance) {metric}',
        wait="5m",
        summary=f"{subject} answers Prometheus and leaves out what its alerts are made of",
        description="{{ $labels.instance }} sends no " + metric.partition("{")[0] + ": its alerts are silent"
        " (up is {{ $value }}).",
    )
