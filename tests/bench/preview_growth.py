"""How a preview of prod grows with its nodes, and what it costs over a bare program with as many resources.

`python -m tests.bench.preview_growth [RUNS]`, all in turn and in one run, on stacks of which nothing is up. One bare
program declares as many ConfigMaps as prod has resources: what the engine, the SDK and one plugin cost. The
other declares the very resources of prod, with inputs written out, so that all its plugins are begun: what is over
that is what components, settings and contracts cost. Prints medians; judges nothing.
"""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import automation
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ops.parts import load_parts
from ops.stack import StackFiles, open_stack, use_parts
from ops.status import parts_note
from tests.program.engine import Request, run_program

NODES = (3, 5, 7, 9)
BARE, OF_SAME_KINDS = "bare", "bare-of-same-kinds"


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
    for name, program in {
        BARE: config_maps(counts[smallest]),
        OF_SAME_KINDS: written_out(run_program("prod").requests),
    }.items():
        stacks[name] = bare(stacks[smallest], name, program)
        counts[name] = preview(stacks[name])[0]
    seconds = defaultdict[str, list[float]](list)
    for _ in track(range(runs), "previews", console=Console(stderr=True)):
        for name, stack in stacks.items():
            seconds[name].append(preview(stack)[1])
    table = Table(
        "preview", "resources", "seconds", "milliseconds each", "over bare", "of same kinds", title=f"median of {runs}"
    )
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        over = [
            f"{middle / statistics.median(seconds[to]):.2f}" if counts[name] == counts[to] else ""
            for to in (BARE, OF_SAME_KINDS)
        ]
        table.add_row(name, str(counts[name]), f"{middle:.2f}", f"{1000 * middle / counts[name]:.0f}", *over)
    console.print(table, parts_note(parts))


def bare(like: automation.Stack, name: str, program: Callable[[], None]) -> automation.Stack:
    """A stack of that program, in the same backend and with the same tools."""
    return automation.create_or_select_stack(
        stack_name=name,
        project_name=name,
        program=program,
        opts=automation.LocalWorkspaceOptions(env_vars=like.workspace.env_vars),
    )


def config_maps(count: int) -> Callable[[], None]:
    def program() -> None:
        for number in range(count - 1):  # the stack itself is one
            kubernetes.core.v1.ConfigMap(f"{BARE}-{number}", metadata={"namespace": BARE}, data={"number": str(number)})

    return program


def written_out(requests: Sequence[Request]) -> Callable[[], None]:
    """Every resource as it was asked for; a component, of which nothing is made, is registered with nothing in it."""

    def program() -> None:
        for request in requests:
            if request.type == "pulumi:pulumi:Stack":
                continue
            options = pulumi.ResourceOptions(version=request.wire.version or None)
            if request.wire.custom:
                pulumi.CustomResource(request.type, request.name, dict(request.inputs), options)
            else:
                pulumi.ComponentResource(request.type, request.name)

    return program


def preview(stack: automation.Stack) -> tuple[int, float]:
    """How many resources there would be, and the seconds that it took to say so."""
    began = time.monotonic()
    found = stack.preview(color="never")
    return sum(found.change_summary.values()), time.monotonic() - began


if __name__ == "__main__":
    main()
