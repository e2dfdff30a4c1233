"""What an administrator of the cluster may do at once without asking."""

from collections.abc import Sequence

from policies.declared import STATEFUL, labels, selects, spec, template
from policies.rule import Subject, Violation, Violations, rule

BUDGET = ("kubernetes:policy/v1:PodDisruptionBudget",)


@rule(
    on=(*STATEFUL, *BUDGET),
    whole_stack=True,
    reason="Draining two machines for an upgrade takes two nodes away at once, and with them the majority.",
    remedy="Add a PodDisruptionBudget with `maxUnavailable: 1` that selects the pods.",
)
def disruptions_have_a_budget(subjects: Sequence[Subject]) -> Violations:
    """Of a replicated StatefulSet one pod at a time may be taken away."""
    budgets = [spec(subject) for subject in subjects if subject.type in BUDGET]
    for subject in subjects:
        replicas = int(spec(subject).get("replicas", 1))
        if subject.type in BUDGET or replicas < 2:
            continue
        found = labels(template(subject))
        ours = [budget for budget in budgets if selects(budget.get("selector"), found)]
        if not any(b.get("maxUnavailable") in (1, "1") or b.get("minAvailable") == replicas - 1 for b in ours):
            yield Violation(subject.name, "no budget lets at most one pod go at a time; add maxUnavailable: 1")
