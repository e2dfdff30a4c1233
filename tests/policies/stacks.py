"""Good stacks, and how a bad one is made: by one change of a good one."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from policies import catalogue
from policies.exceptions import KEY
from policies.props import known
from policies.rule import Rule, Subject
from policies.security.exception_rules import STACK
from tests.program.engine import Engine

GONE = object()  # the value of a key that is taken away
TODAY = date(2026, 11, 25)
PRODUCTION = ("alerts-reach-somebody", "data-is-protected", "images-are-pinned-by-digest")
IN_FORCE: dict[str, dict[str, Any]] = {name: {"in_force": True} for name in PRODUCTION}  # rules' settings in production


@dataclass(frozen=True)
class Bad:
    """One line of a good stack changed: `path` in the inputs of the resource `kind::name`; `says` is in the advice."""

    rule: str
    resource: str
    path: str
    value: Any
    says: str = ""

    def of(self, good: Sequence[Subject]) -> list[Subject]:
        """The bad stack."""
        hit = [
            subject for subject in good if f"{subject.type}::{subject.name.partition('@')[0]}".endswith(self.resource)
        ]
        assert len(hit) == 1, f"{self.resource} names {len(hit)} resources"
        return [self._changed(subject) if subject is hit[0] else subject for subject in good]

    def _changed(self, subject: Subject) -> Subject:
        if self.path == "protected":
            return replace(subject, protected=self.value)
        inputs = copy.deepcopy(dict(subject.inputs))
        put(inputs, self.path, self.value)
        return replace(subject, inputs=inputs)


def put(tree: Any, path: str, value: Any) -> None:
    """Set what stands at the path (`a/0/b`), making mappings on the way, or take it away."""
    *way, last = path.split("/")
    for step in way:
        tree = tree[int(step)] if isinstance(tree, list) else tree.setdefault(step, {})
    if value is GONE:
        del tree[int(last) if isinstance(tree, list) else last]
    elif isinstance(tree, list):
        tree[int(last) :] = [value] if int(last) == len(tree) else [value, *tree[int(last) + 1 :]]
    else:
        tree[last] = value


def subjects(engine: Engine) -> list[Subject]:
    """What the recording engine was asked for, as rules see it."""
    asked = [
        Subject(type=request.type, name=request.name, inputs=known(request.inputs), protected=request.wire.protect)
        for request in engine.requests
        if request.type not in STACK
    ]
    return [root(), *asked]


def root(*exceptions: Any, today: date = TODAY) -> Subject:
    """The stack itself, with its exceptions."""
    inputs = {KEY: list(exceptions), "today": today.isoformat(), "rules": sorted(catalogue.NAMES)}
    return Subject(type=STACK[0], name="rag-platform-dev", inputs=inputs)


def verdicts(
    stack: Sequence[Subject], rules: Sequence[Rule] = catalogue.RULES, config: dict[str, dict[str, Any]] | None = None
) -> dict[str, list[str]]:
    """Rule -> its advice about the stack; a rule that is content is not among them."""
    found = {
        rule.name: [str(violation) for violation in rule.judge(stack, (config or {}).get(rule.name))] for rule in rules
    }
    return {name: advice for name, advice in found.items() if advice}
