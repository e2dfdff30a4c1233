"""The plan as Markdown, for a pull request and for a terminal alike."""

from collections.abc import Iterator, Mapping, Sequence

from ops.review.gate import Verdict
from ops.review.impact import impact
from ops.review.plan import Change, Kind, Plan
from policies.catalogue import NAMES

HEADINGS: Mapping[Kind, str] = {"replace": "Replaced", "delete": "Deleted", "change": "Changed", "create": "Created"}
SHOWN_AT_MOST = 60  # rows of a table: a comment has an end


def marker(stack: str) -> str:
    """By which the comment of an earlier run is found again."""
    return f"<!-- preview of {stack} -->"


def report(stack: str, plan: Plan, verdict: Verdict, exceptions: Sequence[Mapping[str, str]] = ()) -> str:
    """What would be done to the stack, what it means, whether it may be, and what it is excused from."""
    excused = [
        f"{e.get('rule')} for `{e.get('resource')}` until {e.get('expires')}: {e.get('reason')}" for e in exceptions
    ]
    sections = [*_sections(plan, verdict), *_reasons("Written exceptions", excused)]
    return "\n".join([marker(stack), f"## Preview of `{stack}`", "", *sections]).rstrip() + "\n"


def _sections(plan: Plan, verdict: Verdict) -> Iterator[str]:
    yield f"**{'May be carried out.' if verdict.passes else 'Stopped.'}** {_sum(plan)}"
    broken = len({reason.partition(":")[0] for reason in (*verdict.refused, *verdict.steps)})
    yield f"{len(NAMES) - broken} of {len(NAMES)} rules are content."
    yield from _reasons("Refused by a policy", verdict.refused)
    yield from _reasons("Not possible in one step", verdict.steps)
    allowed = "Data would be gone, and this is allowed" if verdict.allowed else "Data would be gone"
    yield from _reasons(allowed, verdict.losses)
    yield from _reasons("Advice", [f"{f.rule}: {f.text}" for f in plan.findings if f.level != "mandatory"])
    yield from _reasons("Mended by a policy", [f"{rule}: {where}" for rule, where in plan.remedied])
    for kind, heading in HEADINGS.items():
        yield from _table(heading, [pair for pair in enumerate(plan.changes, start=1) if pair[1].kind == kind])


def _sum(plan: Plan) -> str:
    counts = {kind: sum(change.kind == kind for change in plan.changes) for kind in HEADINGS}
    said = [f"{count} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    return f"{', '.join(said) or 'Nothing changes'}; {plan.unchanged} unchanged."


def _reasons(heading: str, sentences: list[str]) -> Iterator[str]:
    if sentences:
        yield from ("", f"### {heading}", *(f"- {' '.join(sentence.split())}" for sentence in sentences))


def _table(heading: str, changes: list[tuple[int, Change]]) -> Iterator[str]:
    if not changes:
        return
    yield from ("", f"### {heading}", "| order | what | because of | what it means |", "|---|---|---|---|")
    for order, change in changes[:SHOWN_AT_MOST]:
        because = ", ".join(f"`{key}`" for key in change.keys[:6])
        yield f"| {order} | {change.short_type} `{_cell(change.name)}` | {because} | {impact(change)} |"
    if len(changes) > SHOWN_AT_MOST:
        yield f"| … | and {len(changes) - SHOWN_AT_MOST} more | | |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
