"""What stops a plan: a policy that is mandatory, a step that a running cluster cannot take, data that would be gone."""

from collections.abc import Collection
from dataclasses import dataclass

from ops.review.impact import lost
from ops.review.plan import Change, Plan
from policies.reliability.transition_rules import TRANSITIONS
from policies.rule import Subject


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why the plan must not be carried out, sentence by sentence; empty lists: it may."""

    refused: list[str]  # by a policy
    steps: list[str]  # by a rule of old and new
    losses: list[str]  # of data
    unknown: list[str]  # operations that this program cannot judge
    allowed: bool  # somebody said that the losses are meant

    @property
    def passes(self) -> bool:
        return not self.refused and not self.steps and not self.unknown and (self.allowed or not self.losses)


def judge(plan: Plan, *, allow_data_loss: bool, empty: Collection[str] = ()) -> Verdict:
    """Hold the plan against all of them; only the loss of data can be allowed. What is `empty` loses none."""
    return Verdict(
        refused=[f"{finding.rule}: {finding.text}" for finding in plan.refused],
        steps=[f"{rule}: {text}" for change in plan.changes for rule, text in _forbidden_steps(change)],
        losses=[reason for change in plan.changes if change.name not in empty and (reason := lost(change))],
        unknown=[
            f"expected an operation that this program can judge, found {each}; see pulumi preview --diff before you "
            "carry it out, and update this program"
            for each in plan.unknown
        ],
        allowed=allow_data_loss,
    )


def _forbidden_steps(change: Change) -> list[tuple[str, str]]:
    if change.kind != "change":
        return []
    before, after = (
        Subject(type=change.type, name=change.name, inputs=inputs) for inputs in (change.before, change.after)
    )
    return [
        (rule.name, str(violation))
        for rule in TRANSITIONS
        if rule.applies_to(change.type)
        for violation in rule.check(before, after)
    ]
