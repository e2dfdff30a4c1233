"""Bringing a stack up and taking it down, from whatever state an earlier run left it in."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from docker import DockerClient
from rich.console import Console

from components.haproxy import SERVER_PREFIX
from ops import deployment, preflight, strays
from ops.balancer import balancer_of, servers_of
from ops.deployment import Progress
from ops.pickled_code import refuse_foreign_code
from ops.restore import restore_containers
from ops.stack import OperatorError, StackFiles, clear_interrupted, only_one, open_stack, resources
from providers.balancer_api import BalancerUnreachable
from providers.engine import of_stack
from settings import Settings


def bring_up(files: StackFiles, console: Console, *, refresh: bool = False, emptied: Collection[int] = ()) -> Progress:
    """Make the stack what its file says; returns what was changed. OperatorError before anything is made, if it can be.

    What an interrupted run made and did not record is removed first: the engine would trip over it. What was stopped or
    removed by hand comes back. `emptied` are nodes of Qdrant that hold nothing any more and may go.
    """
    settings = files.settings()
    with only_one():
        engine = preflight.connect_engine()
        preflight.check_ports(settings, engine)
        stack = open_stack(files)
        clear_interrupted(stack)
        recorded = readable(resources(stack))
        _refuse_anothers(engine, settings, recorded)
        leaving = leaving_nodes(settings.qdrant.nodes, recorded)
        refuse_to_lose_shards(leaving, emptied=emptied, nodes=settings.qdrant.nodes)
        removed = strays.remove_stray_containers(engine, settings.stack.name_prefix, recorded)
        removed += strays.remove_stray_entities(admin_url(settings), recorded)
        for name in removed:
            console.print(f"removed {name}: not in this stack's state (an interrupted run, or by hand), holds no data")
        started, gone = restore_containers(engine, [r for r in recorded if _node_of(r) not in leaving])
        for name in started:
            console.print(f"started {name}: it had been stopped")
        result, progress = deployment.run(
            console, "pulumi up", stack.up, refresh=refresh, replace=gone or None, show_secrets=False
        )
        _readmit_forgotten({key: output.value for key, output in result.outputs.items()}, console)
    return progress


def readable(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is in the state; OperatorError when this Python cannot run the code in it."""
    if reason := refuse_foreign_code(recorded):
        raise OperatorError(reason)
    return recorded


def preview(files: StackFiles, console: Console, *, refresh: bool = False) -> Progress:
    """Show what `bring_up` would do; with `refresh`, to what is really there and not to what the state remembers."""
    files.settings()
    with only_one():
        stack = open_stack(files)
        readable(resources(stack))
        _, progress = deployment.run(console, "pulumi preview", stack.preview, diff=True, refresh=refresh)
    return progress


def _readmit_forgotten(found: dict[str, Any], console: Console) -> None:
    """A node that a run drained, and was cut off before it replaced it, is in nobody's way but its own."""
    balancer = balancer_of(found)
    for server in servers_of(found):
        try:
            if {"MAINT", "DRAIN"} & set(balancer.states(server).values()):
                balancer.readmit(server)
                console.print(f"{server} was out of traffic since an interrupted run; it is back")
        except BalancerUnreachable:
            return


def take_down(files: StackFiles, console: Console, *, purge: bool = False) -> list[str]:
    """Remove what runs; returns the names of what was kept: data and secrets, unless purged."""
    if purge:
        files = files.with_config(protectData="false")
    with only_one():
        stack = open_stack(files)
        clear_interrupted(stack)
        recorded = readable(resources(stack))
        if not recorded:
            return []
        if _network(recorded):  # what an interrupted run left on it, or on a volume, would keep that from going
            prefix = files.settings().stack.name_prefix
            strays.remove_stray_containers(preflight.connect_engine(), prefix, recorded)
        # The program runs too: it holds the hooks that drain a node, and says what is protected.
        deployment.run(
            console, "pulumi destroy", stack.destroy, exclude_protected=not purge, run_program=True, show_secrets=False
        )
        return [resource["urn"].rpartition("::")[2] for resource in resources(stack) if resource.get("protect")]


def _refuse_anothers(engine: DockerClient, settings: Settings, recorded: list[dict[str, Any]]) -> None:
    """Containers that run beside a state without their network are those of another checkout's stack."""
    prefix = settings.stack.name_prefix
    running = engine.containers.list(filters=of_stack(prefix))
    if running and not _network(recorded):
        raise OperatorError(
            f"expected no container of a stack {prefix}, found {len(running)} that this checkout did not make; "
            "take that stack down where it was made, or set rag-platform:namePrefix (and other ports) here"
        )


def refuse_to_lose_shards(leaving: set[int], *, emptied: Collection[int], nodes: int) -> None:
    """OperatorError when a node would go that may hold something."""
    if leaving - set(emptied):
        raise OperatorError(
            f"qdrantNodes: expected at least the {max(leaving) + 1} that hold data, found {nodes}; "
            "the shards of those that go must be moved away first: make scale does that. Nothing was changed"
        )


def leaving_nodes(nodes: int, recorded: Iterable[dict[str, Any]]) -> set[int]:
    """Ordinals of the nodes of Qdrant, or of their volumes, that the stack file no longer wants."""
    return {node for resource in recorded if (node := _node_of(resource)) is not None and node >= nodes}


def _node_of(resource: Mapping[str, Any]) -> int | None:
    """The ordinal of the node of Qdrant that a resource is, or is the volume of."""
    found = re.fullmatch(rf"{SERVER_PREFIX}(\d+)", resource["urn"].rpartition("::")[2])
    return int(found[1]) if found else None


def _network(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The network is made before all that is on it and goes after it; only data and secrets are kept without it."""
    return [resource for resource in recorded if resource["type"] == "docker:index/network:Network"]


def admin_url(settings: Settings) -> str:
    """The gateway's Admin API, from this machine."""
    return f"http://127.0.0.1:{settings.gateway.admin_port}"
