"""The plan as Markdown, for a pull request and for a terminal alike."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ops.review.gate import Verdict
from ops.review.impact import impact
from ops.review.plan import Change, Kind, Plan
from policies.catalogue import NAMES

HEADINGS: Mapping[Kind, str] = {
    "replace": "Replaced",
    "delete": "Deleted",
    "change": "Changed",
    "import": "Imported",
    "create": "Created",
}
SHOWN_AT_MOST = 60  # rows of a table
LINE_BYTES, REPORT_BYTES = 1_500, 60_000  # GitHub refuses a comment of more than 65,536 characters
MENTION = re.compile(r"(?<![\w/.:-])@(?=\w)")  # not the @ of a digest


def marker(stack: str) -> str:
    """By which the comment of an earlier run is found again."""
    return f"<!-- preview of {stack} -->"


def report(stack: str, plan: Plan, verdict: Verdict, exceptions: Sequence[Mapping[str, str]] = ()) -> str:
    """What would be done to the stack, what it means, whether it may be, and what it is excused from."""
    excused = [
        f"{e.get('rule')} for `{e.get('resource')}` until {e.get('expires')}: {e.get('reason')}" for e in exceptions
    ]
    lines = [marker(stack), f"## Preview of `{_code(stack)}`", "", *_sections(plan, verdict, excused)]
    return "\n".join(_within_bounds(lines)).rstrip() + "\n"


def _sections(plan: Plan, verdict: Verdict, excused: list[str]) -> Iterator[str]:
    """What matters most comes first: a report that is too long is cut at its end."""
    yield f"**{'May be carried out.' if verdict.passes else 'Stopped.'}** {_sum(plan)}"
    broken = len(NAMES & {reason.partition(":")[0] for reason in (*verdict.refused, *verdict.steps)})
    yield f"{len(NAMES) - broken} of {len(NAMES)} rules are content."
    yield from _reasons("Refused by a policy", verdict.refused)
    yield from _reasons("Not possible in one step", verdict.steps)
    yield from _reasons("Not known to this program", verdict.unknown)
    allowed = "Data would be gone, and this is allowed" if verdict.allowed else "Data would be gone"
    yield from _reasons(allowed, verdict.losses)
    yield from _reasons("Written exceptions", excused)
    for kind, heading in HEADINGS.items():
        yield from _table(heading, [pair for pair in enumerate(plan.changes, start=1) if pair[1].kind == kind])
    yield from _reasons("Advice", [f"{f.rule}: {f.text}" for f in plan.findings if f.level != "mandatory"])
    yield from _reasons("Mended by a policy", [f"{rule}: {where}" for rule, where in plan.remedied])


def _within_bounds(lines: Sequence[str]) -> list[str]:
    """The lines, long ones shortened, and from the first that does not fit a note of how many are left out."""
    kept: list[str] = []
    room = REPORT_BYTES
    for number, line in enumerate(lines):
        encoded = line.encode()
        short = line if len(encoded) <= LINE_BYTES else encoded[:LINE_BYTES].decode(errors="ignore") + " …"
        room -= len(short.encode()) + 1
        if room < 0:
            return [*kept, "", f"**{len(lines) - number} more lines are in the output of the preview's run.**"]
        kept.append(short)
    return kept


def _sum(plan: Plan) -> str:
    counts = {kind: sum(change.kind == kind for change in plan.changes) for kind in HEADINGS}
    said = [f"{count} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    return f"{', '.join(said) or 'Nothing changes'}; {plan.unchanged} unchanged."


def _reasons(heading: str, sentences: list[str]) -> Iterator[str]:
    if sentences:
        yield from ("", f"### {heading}", *(f"- {_text(sentence)}" for sentence in sentences))


def _table(heading: str, changes: list[tuple[int, Change]]) -> Iterator[str]:
    if not changes:
        return
    yield from ("", f"### {heading}", "| order | what | because of | what it means |", "|---|---|---|---|")
    for order, change in changes[:SHOWN_AT_MOST]:
        because = ", ".join(f"`{_code(key)}`" for key in change.keys[:6])
        meaning = _text(impact(change)).replace("|", "\\|")
        yield f"| {order} | {_text(change.short_type)} `{_code(change.name)}` | {because} | {meaning} |"
    if len(changes) > SHOWN_AT_MOST:
        yield f"| … | and {len(changes) - SHOWN_AT_MOST} more | | |"


def _code(text: str) -> str:
    """Between backticks, in a cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")


def _text(text: str) -> str:
    """Prose on one line: no HTML, and no mention that notifies a person."""
    return MENTION.sub("@\u200b", " ".join(text.split()).replace("<", "\\<"))
