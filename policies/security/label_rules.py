"""Labels, which name the stack that a container belongs to."""

from typing import Any

from policies.declared import CONTAINER, mappings
from policies.rule import Subject, Violation, Violations, rule

LABEL = "rag-platform"


def labelled(subject: Subject) -> dict[str, Any] | None:
    """The same container with the label; nothing when it has it. (Not a volume: a new label would replace it.)"""
    given = list(mappings(subject.inputs.get("labels")))
    if any(label.get("label") == LABEL for label in given):
        return None
    return {"labels": [*map(dict, given), {"label": LABEL, "value": subject.stack or "unknown"}]}


@rule(
    on=CONTAINER,
    reason="A container without its stack's label is not found by the clean-up after an interrupted run.",
    remedy="Add the label `rag-platform` with the stack's prefix. The pack adds it, with the stack's name, by itself.",
    level="remediate",
    remediation=labelled,
)
def containers_are_labelled(subject: Subject) -> Violations:
    """Every container is labelled with the stack that it belongs to."""
    if labelled(subject):
        yield Violation(subject.name, f"has no label {LABEL}; add it, with the name of its stack")
