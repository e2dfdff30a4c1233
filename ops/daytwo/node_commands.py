"""The commands that change which nodes there are."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ops.balancer import balancer_of
from ops.daytwo import steps
from ops.daytwo.node_disk import NodeDisk
from ops.daytwo.replace_node import Replacement
from ops.daytwo.running import Running, plainly
from ops.daytwo.scale import Scaling
from ops.daytwo.stack_of import DryRun, Stack, console, files_of, found_of, on_docker
from ops.preflight import connect_engine
from ops.stack import OperatorError

app = typer.Typer()


@app.command("replace-node")
def replace_node(
    node: int,
    stack: Stack = "dev",
    *,
    force_living: Annotated[bool, typer.Option(help="even if it lives, or its volume is whole")] = False,
    dry_run: DryRun = False,
) -> None:
    """Replace a node whose disk is lost, and make every copy again that it held."""
    files = on_docker(files_of(stack), "replace-node")
    found = found_of(files)
    running = Running.of(found)
    if node not in range(len(running.node_urls)):
        raise OperatorError(f"expected a node from 0 to {len(running.node_urls) - 1}, found {node}")
    disk = NodeDisk(engine=connect_engine(), prefix=files.settings().stack.name_prefix, ordinal=node)
    replacement = Replacement(files=files, running=running, balancer=balancer_of(found), disk=disk, console=console)
    planned = replacement.steps(force_living=force_living)
    _show_or_take(planned, "replacing the node", dry_run=dry_run)
    if not dry_run:
        console.print(f"{disk.name} is a member again; every shard has all its copies, Active, from every node's view")


@app.command()
def scale(
    nodes: Annotated[int | None, typer.Option(help="to see a plan; what is done, the stack file says")] = None,
    stack: Stack = "dev",
    *,
    dry_run: DryRun = False,
) -> None:
    """Make the cluster as large as the stack file says, and move the copies where they belong."""
    files = on_docker(files_of(stack), "scale")
    wanted = files.settings().qdrant.nodes
    if nodes not in (None, wanted):
        if not dry_run:
            raise OperatorError(
                f'expected rag-platform:qdrantNodes: "{nodes}" in {files.stack_file.name}, found {wanted}: change that '
                "line, so that the next make up knows it too, then run the same command again"
            )
        files = files.with_config(qdrantNodes=str(nodes))
    found = found_of(files)
    scaling = Scaling(
        files=files,
        running=Running.of(found),
        balancer=balancer_of(found),
        prefix=files.settings().stack.name_prefix,
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
