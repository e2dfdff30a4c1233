"""The commands that change which nodes there are."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from cli import confirm
from cli.confirm import Yes
from cli.stack_of import DryRun, Stack, console, files_of, outputs_of
from ops.balancer import balancers_of
from ops.daytwo import steps
from ops.daytwo.node_disk import disk_of
from ops.daytwo.replace_node import Replacement
from ops.daytwo.running import Running, plainly
from ops.daytwo.scale import Scaling
from ops.stack import OperatorError

app = typer.Typer()


@app.command("replace-node", epilog="Example: make replace-node NODE=1 DRY_RUN=1")
def replace_node(
    node: int,
    stack: Stack = "dev",
    *,
    force_living: Annotated[bool, typer.Option(help="even if it is alive, or its volume is intact")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Replace a node whose disk is lost, and create every copy again that it held."""
    files = files_of(stack)
    if not dry_run:
        confirm.ask(files.settings(), files.parts, "Replace a node of the stack in", agreed=yes)
    found = outputs_of(files)
    running = Running.of(found)
    if node not in range(len(running.node_urls)):
        raise OperatorError(f"expected a node from 0 to {len(running.node_urls) - 1}, found {node}")
    disk = disk_of(files.settings(), node)
    replacement = Replacement(files=files, running=running, balancers=balancers_of(found), disk=disk, console=console)
    planned = replacement.steps(force_living=force_living)
    _show_or_take(planned, "replacing the node", dry_run=dry_run)
    if not dry_run:
        console.print(f"{disk.name} is a member again; every node reports all copies of every shard Active")


@app.command(epilog="Example: make scale NODES=5 DRY_RUN=1")
def scale(
    nodes: Annotated[int | None, typer.Option(help="to see a plan; the stack file decides what is done")] = None,
    stack: Stack = "dev",
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Make the cluster as large as the stack file says, and move the copies where they belong."""
    files = files_of(stack)
    wanted = files.settings().qdrant.nodes
    if nodes not in (None, wanted):
        if not dry_run:
            raise OperatorError(
                f'expected rag-platform:qdrantNodes: "{nodes}" in {files.stack_file.name}, found {wanted}: change that '
                "line, so that the next make up knows it too, then run the same command again"
            )
        files = files.with_config(qdrantNodes=str(nodes))
    if not dry_run:
        confirm.ask(files.settings(), files.parts, "Scale the stack in", agreed=yes)
    found = outputs_of(files)
    scaling = Scaling(
        files=files,
        running=Running.of(found),
        balancers=balancers_of(found),
        disks=partial(disk_of, files.settings()),
        nodes=files.settings().qdrant.nodes,
        console=console,
    )
    console.print(scaling.table())
    _show_or_take(scaling.steps(), "scaling", dry_run=dry_run)
    if not dry_run:
        console.print(f"{scaling.nodes} nodes, one settled cluster, every shard with all its copies, Active")


def _show_or_take(planned: Sequence[steps.Step], doing: str, *, dry_run: bool) -> None:
    steps.show(planned, console)
    if not dry_run:
        with plainly(doing):
            steps.take(planned, console)
