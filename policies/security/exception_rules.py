"""The exceptions themselves."""

from datetime import date

from policies.declared import items
from policies.exceptions import KEY, parsed
from policies.rule import Setting, Subject, Violation, Violations, rule

STACK = ("pulumi:pulumi:Stack",)
SHORTEST_REASON = 20  # characters: long enough for a sentence, too long for "todo"


@rule(
    on=STACK,
    reason="An exception without a reason is a hole, and one without an end is a hole for ever.",
    remedy="Write each as `{rule: …, resource: …, reason: a sentence, expires: 2027-06-30}` under "
    "`rag-platform:policyExceptions` of the stack file; mend the stack before that day, or decide again.",
    longest_days=Setting(366, "how far away an exception may end"),
)
def exceptions_are_written_and_dated(subject: Subject, *, longest_days: int) -> Violations:
    """Every exception names a rule, a resource and a reason, and has not expired."""
    today = date.fromisoformat(str(subject.inputs["today"]))
    for entry in items(subject.inputs.get(KEY)):
        exception = parsed(entry)
        if isinstance(exception, str):
            yield Violation(KEY, exception)
            continue
        where = f"{KEY} ({exception.rule})"
        if exception.rule not in items(subject.inputs.get("rules")):
            yield Violation(where, "is no rule; docs/policies.md lists them all")
        if len(exception.reason.strip()) < SHORTEST_REASON:
            yield Violation(where, f"its reason is {exception.reason!r}; write a sentence that a reviewer can weigh")
        if today > exception.expires:
            yield Violation(where, f"expired on {exception.expires}; mend {exception.resource}, or decide again")
        elif (exception.expires - today).days > longest_days:
            yield Violation(where, f"ends on {exception.expires}; choose a day within {longest_days} days")
