"""Deploying a stack and taking it down, from any state that an earlier run left."""

from collections.abc import Collection
from typing import Any

from pulumi import automation
from rich.console import Console

from access.haproxy import BalancerUnreachable
from access.kong import AdminApi
from ops import deployment
from ops.balancer import balancers_of, servers_of
from ops.deployment import Progress
from ops.orphans import lost_entities
from ops.pickled_code import refuse_foreign_code
from ops.prerequisites import prerequisites_of
from ops.recorded_nodes import recorded_as, recorded_nodes
from ops.review.run import refuse_unless_passed, review
from ops.stack import OperatorError, StackFiles, clear_interrupted, only_one, open_stack, resources


def deploy(
    files: StackFiles,
    console: Console,
    *,
    refresh: bool = False,
    allow_data_loss: bool = False,
    emptied: Collection[int] = (),
) -> Progress:
    """Make the stack what its file declares; returns what was changed. OperatorError, where possible before any change.

    Objects that an interrupted run created and did not record are removed first: they would collide with the engine's.
    Containers that were stopped or removed by hand are started or recreated. `emptied` are nodes of Qdrant that hold
    nothing any more and may be removed.
    """
    prerequisites = prerequisites_of(files.settings())
    with only_one():
        prerequisites.check()
        stack = open_stack(files)
        clear_interrupted(stack)
        recorded, nodes = readable(resources(stack)), files.settings().qdrant.nodes
        leaving = {node for node in recorded_nodes(recorded) if node >= nodes}
        refuse_to_lose_shards(leaving, emptied=emptied, nodes=nodes)
        empty = recorded_as(emptied)
        done = review(console, files, stack, allow_data_loss=allow_data_loss, empty=empty, refresh=refresh)
        refuse_unless_passed(done)
        gone = prerequisites.prepare(recorded, console, leaving=recorded_as(leaving))
        result, progress = _up(stack, console, refresh=refresh, replace=gone or None)
        _readmit_drained({key: output.value for key, output in result.outputs.items()}, console)
    return progress


def _up(stack: automation.Stack, console: Console, **options: Any) -> tuple[Any, Progress]:
    """Run `pulumi up`, and again where the gateway's database has lost what the state records: the engine trusts it."""
    try:
        done = deployment.run(console, "pulumi up", stack.up, show_secrets=False, **options)
    except OperatorError:
        if not _forget_lost_entities(stack, console):
            raise
        return deployment.run(console, "pulumi up", stack.up, show_secrets=False, **options)
    if not _forget_lost_entities(stack, console):
        return done
    result, again = deployment.run(console, "pulumi up", stack.up, show_secrets=False)
    again.changes = [*done[1].changes, *again.changes]
    return result, again


def _forget_lost_entities(stack: automation.Stack, console: Console) -> bool:
    """Take entities out of the state that the gateway's database has lost; whether there were any."""
    found = {key: output.value for key, output in stack.outputs().items()}
    if not found.get("gatewayAdminUrl"):
        return False
    admin = AdminApi(url=found["gatewayAdminUrl"], token=found.get("gatewayAdminToken", ""))
    if lost := lost_entities(admin, resources(stack)):
        console.print(f"the gateway's database has lost {len(lost)} entities: they are created again")
        deployment.run(console, "pulumi refresh", stack.refresh, target=lost, show_secrets=False)
    return bool(lost)


def readable(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recorded resources; OperatorError when this Python cannot run the code that the state holds."""
    if reason := refuse_foreign_code(recorded):
        raise OperatorError(reason)
    return recorded


def _readmit_drained(found: dict[str, Any], console: Console) -> None:
    """Put nodes back into traffic that an interrupted run had drained and not replaced."""
    for balancer in balancers_of(found):
        for server in servers_of(found):
            try:
                if {"MAINT", "DRAIN"} & set(balancer.states(server).values()):
                    balancer.readmit(server)
                    console.print(f"{server} was out of traffic since an interrupted run; it is back")
            except BalancerUnreachable:
                break


def take_down(files: StackFiles, console: Console, *, purge: bool = False) -> list[str]:
    """Remove what runs; returns the names of the resources kept: data and secrets, unless purged."""
    if purge:
        files = files.with_config(protectData="false")
    with only_one():
        stack = open_stack(files)
        clear_interrupted(stack)
        recorded = readable(resources(stack))
        if not recorded:
            return []
        prerequisites_of(files.settings()).clear(recorded)
        # The program runs too: it holds the hooks that drain a node, and declares what is protected.
        deployment.run(
            console, "pulumi destroy", stack.destroy, exclude_protected=not purge, run_program=True, show_secrets=False
        )
        return [resource["urn"].rpartition("::")[2] for resource in resources(stack) if resource.get("protect")]


def refuse_to_lose_shards(leaving: set[int], *, emptied: Collection[int], nodes: int) -> None:
    """OperatorError when a node would be removed that may hold data."""
    if leaving - set(emptied):
        raise OperatorError(
            f"qdrantNodes: expected at least the {max(leaving) + 1} that hold data, found {nodes}; "
            "the shards of those that go must be moved away first: make scale does that. Nothing was changed"
        )
