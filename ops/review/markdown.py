"""The plan as Markdown, for a pull request and for a terminal alike: what is dangerous first, and never too long."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.review.gate import Verdict
from ops.review.impact import impact
from ops.review.plan import Change, Kind, Plan
from policies.catalogue import NAMES

HEADINGS: Mapping[Kind, str] = {
    "unknown": "Not known",
    "replace": "Replaced",
    "delete": "Deleted",
    "import": "Imported",
    "forget": "Left out of the state",
    "change": "Changed",
    "create": "Created",
}
DANGEROUS: tuple[Kind, ...] = ("unknown", "replace", "delete")
COLUMNS = ("| order | what | because of | what it means |", "|---|---|---|---|")
MOST_BYTES = 65_536  # GitHub accepts a comment of so many characters; bytes are never fewer
LONGEST = 600  # characters of one text


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, what stands above its rows, and the rows, of which the last ones may be left out."""

    heading: str
    above: Sequence[str] = ()
    rows: Sequence[str]

    def shown(self, count: int) -> str:
        """The section with so many of its rows, and the number of the others."""
        left = len(self.rows) - count
        more = [f"| … | and {left} more | | |" if self.above else f"- … and {left} more"] if left else []
        return "\n".join(["", f"### {self.heading}", *self.above, *self.rows[:count], *more, ""])


def marker(stack: str) -> str:
    """By which the comment of an earlier run is found again."""
    return f"<!-- preview of {stack} -->"


def report(stack: str, plan: Plan, verdict: Verdict, exceptions: Sequence[Mapping[str, object]] = ()) -> str:
    """What would be done to the stack, what it means, whether it may be, and what it is excused from."""
    broken = len({reason.partition(":")[0] for reason in (*verdict.refused, *verdict.steps)})
    head = [
        marker(stack),
        f"## Preview of {code(stack)}",
        "",
        f"**{'May be carried out.' if verdict.passes else 'Stopped.'}** {_sum(plan)}",
        f"{len(NAMES) - broken} of {len(NAMES)} rules are content.",
        "",
    ]
    sections = [section for section in _sections(plan, verdict, exceptions) if section.rows]
    return _fitted("\n".join(head), sections).rstrip() + "\n"


def _fitted(head: str, sections: Sequence[Section]) -> str:
    """As many rows as there is room for; every section keeps its heading and its count."""
    room = MOST_BYTES - _bytes(head) - sum(_bytes(section.shown(0)) for section in sections)
    text = head
    for section in sections:
        count = 0
        while count < len(section.rows) and (size := _bytes(section.rows[count]) + 1) <= room:
            room, count = room - size, count + 1
        text += section.shown(count)
    return text


def _sections(plan: Plan, verdict: Verdict, exceptions: Sequence[Mapping[str, object]]) -> Iterator[Section]:
    numbered = list(enumerate(plan.changes, start=1))
    tables = {kind: _table(kind, [pair for pair in numbered if pair[1].kind == kind]) for kind in HEADINGS}
    yield _list("Not known", verdict.unknown)
    yield _list("Refused by a policy", verdict.refused)
    yield _list("Not possible in one step", verdict.steps)
    yield _list("Data would be gone, and this is allowed" if verdict.allowed else "Data would be gone", verdict.losses)
    yield from (tables[kind] for kind in DANGEROUS if kind != "unknown")
    yield _list("Advice", [f"{f.rule}: {f.text}" for f in plan.findings if f not in plan.refused])
    yield _list("Mended by a policy", [f"{rule}: {where}" for rule, where in plan.remedied])
    yield from (table for kind, table in tables.items() if kind not in DANGEROUS)
    excused = [
        f"- {plain(e.get('rule'))} for {code(e.get('resource'))} until {plain(e.get('expires'))}: "
        f"{plain(e.get('reason'))}"
        for e in exceptions
    ]
    yield Section(heading="Written exceptions", rows=excused)


def _sum(plan: Plan) -> str:
    counts = {kind: sum(change.kind == kind for change in plan.changes) for kind in HEADINGS}
    said = [f"{count} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    return f"{', '.join(said) or 'Nothing changes'}; {plan.unchanged} unchanged."


def _list(heading: str, sentences: Sequence[str]) -> Section:
    return Section(heading=heading, rows=[f"- {plain(sentence)}" for sentence in sentences])


def _table(kind: Kind, changes: Sequence[tuple[int, Change]]) -> Section:
    return Section(heading=HEADINGS[kind], above=COLUMNS, rows=[_row(order, change) for order, change in changes])


def _row(order: int, change: Change) -> str:
    because = ", ".join(code(key, in_table=True) for key in change.keys[:6])
    name = code(change.name, in_table=True)
    means = impact(replace(change, name=plain(change.name)))
    return f"| {order} | {plain(change.short_type)} {name} | {because} | {means} |"


def plain(text: object) -> str:
    """The text in one line, of which Markdown, HTML and GitHub (mentions, references) read nothing as markup."""
    line = re.sub(r"([\\`*\[\]|~$]|(?<!\w)_|_(?!\w)|^[-+=])", r"\\\1", _line(text))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([@#])", "\\1\u200b", line)


def code(text: object, *, in_table: bool = False) -> str:
    """The text as code, which nothing in it can end."""
    inner = _line(text).replace("`", "'") or " "
    return f"`{inner.replace('|', chr(92) + '|') if in_table else inner}`"


def _line(text: object) -> str:
    """One line of what can be printed, cut visibly."""
    line = "".join(each if each.isprintable() else "\ufffd" for each in " ".join(str(text).split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line) - LONGEST} characters more)"


def _bytes(text: str) -> int:
    return len(text.encode())
