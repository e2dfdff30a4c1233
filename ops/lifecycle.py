"""Bringing a stack up and taking it down, from whatever state an earlier run left it in."""

from typing import Any

from rich.console import Console

from ops import deployment
from ops.balancer import balancers_of, servers_of
from ops.deployment import Progress
from ops.ground import ground_of
from ops.review.run import refuse_unless_passed, review
from ops.stack import StackFiles, clear_interrupted, only_one, open_stack, resources
from providers.balancer_api import BalancerUnreachable


def bring_up(files: StackFiles, console: Console, *, refresh: bool = False, allow_data_loss: bool = False) -> Progress:
    """Make the stack what its file says; returns what was changed. OperatorError before anything is made, if it can be.

    What an interrupted run made and did not record is removed first: the engine would trip over it. What was stopped or
    removed by hand comes back.
    """
    ground = ground_of(files.settings())
    with only_one():
        ground.check()
        stack = open_stack(files)
        clear_interrupted(stack)
        refuse_unless_passed(review(console, files, stack, allow_data_loss=allow_data_loss, refresh=refresh))
        gone = ground.prepare(resources(stack), console)
        result, progress = deployment.run(
            console, "pulumi up", stack.up, refresh=refresh, replace=gone or None, show_secrets=False
        )
        _readmit_forgotten({key: output.value for key, output in result.outputs.items()}, console)
    return progress


def _readmit_forgotten(found: dict[str, Any], console: Console) -> None:
    """A node that a run drained, and was cut off before it replaced it, is in nobody's way but its own."""
    for balancer in balancers_of(found):
        for server in servers_of(found):
            try:
                if {"MAINT", "DRAIN"} & set(balancer.states(server).values()):
                    balancer.readmit(server)
                    console.print(f"{server} was out of traffic since an interrupted run; it is back")
            except BalancerUnreachable:
                break


def take_down(files: StackFiles, console: Console, *, purge: bool = False) -> list[str]:
    """Remove what runs; returns the names of what was kept: data and secrets, unless purged."""
    if purge:
        files = files.with_config(protectData="false")
    with only_one():
        stack = open_stack(files)
        clear_interrupted(stack)
        recorded = resources(stack)
        if not recorded:
            return []
        ground_of(files.settings()).clear(recorded)
        # The program runs too: it holds the hooks that drain a node, and says what is protected.
        deployment.run(
            console, "pulumi destroy", stack.destroy, exclude_protected=not purge, run_program=True, show_secrets=False
        )
        return [resource["urn"].rpartition("::")[2] for resource in resources(stack) if resource.get("protect")]
