"""Verifying that every copy has what it should: by a ledger of acknowledged points, or by the other copies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from ops.daytwo import progress_bars
from ops.daytwo.running import Running, plainly
from ops.stack import OperatorError
from qdrant_admin.cluster_view import unsettled
from qdrant_admin.points.client import Points
from qdrant_admin.points.comparison import Entry, Finding, check_ledger, compare_replicas
from qdrant_admin.points.equality import Checksum

SHOWN = 20  # findings in the table


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was examined, and what is wrong with it."""

    examined: str
    findings: list[Finding]

    def table(self) -> Table:
        table = Table("point", "asked through", "found", title=f"{len(self.findings)} findings")
        for finding in self.findings[:SHOWN]:
            table.add_row(str(finding.id), finding.place, finding.what)
        if len(self.findings) > SHOWN:
            table.caption = f"and {len(self.findings) - SHOWN} more"
        return table


def read_ledger(path: Path) -> list[Entry]:
    """The acknowledged points of a file in JSON Lines; OperatorError with the first line that is malformed."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise OperatorError(f"expected a ledger in {path}, found {error.strerror}; name another file") from error
    entries = [_entry(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not entries:
        raise OperatorError(f"expected acknowledged points in {path}, found none: nothing could be verified")
    return entries


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        return Entry.of(orjson.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            f'{path}, line {number}: expected {{"id": …, "vector_sha256": …}}, found {line[:60]!r}; mend the ledger'
        ) from error


def require_readable_copies(running: Running) -> None:
    """OperatorError when a replica is not Active or its node does not answer: what it holds cannot be verified."""
    if reasons := unsettled(running.views()) or running.missing_copies():
        raise OperatorError(
            f"expected every copy to be Active, on nodes that agree, so that each can be read; found: "
            f"{'; '.join(reasons[:4])}. Wait until it has settled (make status), then run the same command again"
        )


def verify(running: Running, name: str, ledger: list[Entry] | None, console: Console) -> Verdict:
    """Read every copy through its own node; OperatorError when a copy cannot be read."""
    with plainly("verifying"):
        running.placement_spec(name)  # there must be one of that name
        require_readable_copies(running)
        compare = _against_each_other if ledger is None else _against(ledger)
        verdict = compare([node.points(name, running.clock) for node in running.nodes], console)
        require_readable_copies(running)  # one that died meanwhile was not read to its end
    return verdict


def _against(ledger: list[Entry]) -> Callable[[list[Points], Console], Verdict]:
    def compare(copies: list[Points], console: Console) -> Verdict:
        with progress_bars.of_points(console) as bar:
            task = bar.add_task("acknowledged points looked up", total=len({entry.id for entry in ledger}))
            findings = check_ledger(copies, ledger, lambda checked: bar.advance(task, checked))
        return Verdict(
            examined=f"{len(ledger)} acknowledged points through each of {len(copies)} nodes", findings=findings
        )

    return compare


def _against_each_other(copies: list[Points], console: Console) -> Verdict:
    checksum = Checksum()
    with progress_bars.of_points(console) as bar:
        task = bar.add_task("points compared on all nodes", total=copies[0].count())

        def on_point(point: dict[str, object]) -> None:
            checksum.add(point)
            bar.advance(task)

        findings = compare_replicas(copies, on_point)
    examined = f"{checksum.points} points (checksum {checksum}) through each of {len(copies)} nodes"
    return Verdict(examined=examined, findings=findings)
