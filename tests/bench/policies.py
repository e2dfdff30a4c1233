"""What policies add to a preview: `python -m tests.bench.policies [RUNS]`, on dev's program, of which nothing is up.

Previews without packs, with one that does nothing, with all of them in one process (as `make preview` does it) and with
one process each, in turn and in one run. Prints seconds that passed and seconds of processors, of everything that was
started; judges nothing.
"""

import resource
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from pulumi import automation
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ops.packs import PACKS, policy_options
from ops.stack import open_stack
from ops.status import parts_note
from proof.targets.proof_stack import ProofStack

EMPTY = Path(__file__).parent / "empty_pack"
WAYS: dict[str, list[Path]] = {
    "no packs": [],
    "a pack that does nothing": [EMPTY],
    "all packs in one process": [PACKS],
    "a process for each pack": [PACKS / name for name in ("reliability", "security", "gateway")],
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    stack = ProofStack.described("bench", "dev", "rag-bench")
    console, opened = Console(width=120), open_stack(stack.files)
    preview(opened, [])  # what only the first one pays: compiled modules, the stack's own folder
    taken = defaultdict[str, list[tuple[float, float]]](list)
    for _ in track(range(runs), "previews", console=stack.console):
        for way, packs in WAYS.items():
            taken[way].append(preview(opened, packs))
    table = Table("preview of dev", "seconds", "over none", "processor seconds", "over none", title=f"median of {runs}")
    bare = _medians(taken["no packs"])
    for way, times in taken.items():
        cells = [
            (f"{found:.2f}", f"{found / none - 1:+.0%}") for found, none in zip(_medians(times), bare, strict=True)
        ]
        table.add_row(way, *cells[0], *cells[1])
    console.print(table, parts_note(stack.files.parts))


def preview(opened: automation.Stack, packs: list[Path]) -> tuple[float, float]:
    """Seconds that passed, and processor seconds."""
    configs = [config for pack in packs if pack != EMPTY for config in policy_options("dev")["policy_pack_configs"]]
    began, before = time.monotonic(), _processors()
    opened.preview(color="never", policy_packs=[str(pack) for pack in packs], policy_pack_configs=configs)
    return time.monotonic() - began, _processors() - before


def _processors() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _medians(times: list[tuple[float, float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*times, strict=True)]


if __name__ == "__main__":
    main()
