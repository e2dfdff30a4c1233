"""How a preview of prod grows with its nodes, and what it costs over a bare program with as many resources.

`python -m tests.bench.preview_growth [RUNS]`, all in turn and in one run, on stacks of which nothing is up. The bare
program declares as many ConfigMaps as prod has resources: what the engine, the SDK and the plugin cost by themselves.
Prints medians; judges nothing.
"""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import pulumi_kubernetes as kubernetes
from pulumi import automation
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ops.parts import load_parts
from ops.stack import StackFiles, open_stack, use_parts
from ops.status import parts_note

NODES = (3, 5, 7, 9)
BARE = "bare"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    parts, console = load_parts(), Console(width=120)
    use_parts(parts)
    stacks = {
        f"prod, {nodes} nodes": open_stack(
            StackFiles(name=f"bench-{nodes}", source="prod", parts=parts).with_config(qdrantNodes=str(nodes))
        )
        for nodes in NODES
    }
    counts = {name: preview(stack)[0] for name, stack in stacks.items()}  # and what only the first one pays
    smallest = next(iter(stacks))
    stacks[BARE] = bare(stacks[smallest], counts[smallest])
    counts[BARE] = preview(stacks[BARE])[0]
    seconds = defaultdict[str, list[float]](list)
    for _ in track(range(runs), "previews", console=Console(stderr=True)):
        for name, stack in stacks.items():
            seconds[name].append(preview(stack)[1])
    table = Table("preview", "resources", "seconds", "milliseconds each", f"over {BARE}", title=f"median of {runs}")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        over = f"{middle / statistics.median(seconds[BARE]):.2f}" if name in (smallest, BARE) else ""
        table.add_row(name, str(counts[name]), f"{middle:.2f}", f"{1000 * middle / counts[name]:.0f}", over)
    console.print(table, parts_note(parts))


def bare(like: automation.Stack, count: int) -> automation.Stack:
    """A stack of so many ConfigMaps, in the same backend and with the same tools."""
    return automation.create_or_select_stack(
        stack_name=BARE,
        project_name=BARE,
        program=config_maps(count),
        opts=automation.LocalWorkspaceOptions(env_vars=like.workspace.env_vars),
    )


def config_maps(count: int) -> Callable[[], None]:
    def program() -> None:
        for number in range(count - 1):  # the stack itself is one
            kubernetes.core.v1.ConfigMap(f"{BARE}-{number}", metadata={"namespace": BARE}, data={"number": str(number)})

    return program


def preview(stack: automation.Stack) -> tuple[int, float]:
    """How many resources there would be, and the seconds that it took to say so."""
    began = time.monotonic()
    found = stack.preview(color="never")
    return sum(found.change_summary.values()), time.monotonic() - began


if __name__ == "__main__":
    main()
