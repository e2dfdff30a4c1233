"""A run as one page that needs nothing else to be read, and as JSON beside it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from proof.report.charts import Chart, chart
from proof.report.judge import Observed, Verdict, kept

PAGES = Environment(
    loader=PackageLoader("proof", "report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A row of figures that nothing is promised of."""

    name: str
    cells: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A table of what was measured."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Measure]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One scenario, change or measurement: what was observed, and its verdicts."""

    verdicts: Sequence[Verdict]
    observed: Observed | None = None
    title: str = ""
    name: str = ""
    figures: Sequence[Figures] = ()

    @property
    def heading(self) -> str:
        return self.observed.title if self.observed else self.title

    @property
    def anchor(self) -> str:
        return self.observed.name if self.observed else self.name

    @property
    def kept(self) -> bool:
        """Whether its promises were kept; a table of figures of which nothing is promised breaks none."""
        return kept(self.verdicts) or (bool(self.figures) and not self.verdicts)

    @property
    def chart(self) -> Chart | None:
        return chart(self.observed) if self.observed and self.observed.calls else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run: what was run, when, on what, and how it went."""

    title: str
    began: str  # local time with its zone
    command: str
    machine: str
    stand_ins: Sequence[str]
    parts: Sequence[tuple[str, str, str]]  # name, what is used, real or what it stands in for
    sections: Sequence[Section] = field(default_factory=tuple)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept, and something was tried at all."""
        return bool(self.sections) and all(section.kept for section in self.sections)

    @property
    def verdict(self) -> str:
        """The first line: the outcome, before anything else."""
        promises = [verdict for section in self.sections for verdict in section.verdicts]
        broken = sum(not verdict.kept for verdict in promises)
        if self.kept and not promises:
            return "MEASURED: figures of which nothing is promised"
        if self.kept:
            return f"KEPT: {len(promises)} of {len(promises)} promises{self._declared()}"
        return f"NOT KEPT: {broken} of {len(promises)} promises broken" if promises else "NOT KEPT: nothing was tried"

    def _declared(self) -> str:
        """Calls that failed where an experiment declares that they may: kept, and still shown on the first line."""
        seen = [section.observed for section in self.sections if section.observed]
        calls = sum(len(each.failed_calls) for each in seen)
        return f"; {calls:,} calls failed where that is declared" if calls else ""


def write(report: Report, folder: Path) -> Path:
    """Write report.html and report.json; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(PAGES.get_template("report.html.j2").render(report=report), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(_facts(report), indent=2) + "\n", encoding="utf-8")
    return page


def _facts(report: Report) -> dict[str, Any]:
    return {
        **{key: getattr(report, key) for key in ("verdict", "kept", "title", "began", "command", "machine")},
        "stand_ins": list(report.stand_ins),
        "parts": [dict(zip(("part", "used", "kind"), part, strict=True)) for part in report.parts],
        "sections": [_section(section) for section in report.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": section.anchor,
        "title": section.heading,
        "kept": section.kept,
        "verdicts": [asdict(verdict) for verdict in section.verdicts],
        "figures": [asdict(figures) for figures in section.figures],
    }
    if seen := section.observed:
        facts["seconds"] = {
            at: round(getattr(seen, at) - seen.baseline_start, 3) for at in ("fault", "fault_end", "recovered", "ended")
        }
        facts["acknowledged"] = seen.acknowledged
        facts["lost"] = sorted(seen.lost)
        since = seen.baseline_start
        facts["calls"] = [
            [call.stream, round(call.due - since, 3), round(call.seconds * 1000, 1), call.answered, call.detail]
            for call in seen.calls
        ]
    return facts
