"""The account of a run: which machine, which parts, when, and where it is kept."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.parts import Parts
from ops.paths import STATE
from proof.report.report import Report, Section, write

RUNS = STATE / "proof"


def folder_of(kind: str) -> Path:
    """A new folder for a run of that kind."""
    folder = RUNS / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True)
    return folder


def report_of(title: str, command: str, parts: Parts, sections: Sequence[Section]) -> Report:
    """The report of a run that ends now."""
    kinds = [
        (part.part, part.used.rpartition("/")[2] if part.used.startswith("/") else part.used,
         "real" if part.real else f"stand-in for {part.wanted}")
        for part in parts.parts
    ]  # fmt: skip
    return Report(
        title=title,
        began=time.strftime("%Y-%m-%d %H:%M %Z"),
        command=command,
        machine=_machine(),
        stand_ins=[part.part for part in parts.parts if not part.real],
        parts=kinds,
        sections=sections,
    )


def publish(report: Report, folder: Path, console: Console) -> bool:
    """Write the report and print its outcome, the page's path last; returns whether all was kept."""
    page = write(report, folder)
    for section in report.sections:
        for verdict in section.verdicts:
            if not verdict.kept:
                text = f"{section.heading}: {verdict.promise}: expected {verdict.expected}, found {verdict.found}"
                console.print(f"[red]broken[/red] {text}", highlight=False)
    console.print(f"[bold {'green' if report.kept else 'red'}]{report.verdict}[/]")
    console.print(f"report: {page}", soft_wrap=True)
    return report.kept


def _machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return f"{platform.system()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, load {load:.1f} at the end"
