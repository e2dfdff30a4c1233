"""Letting go of resources that are given up on purpose: the program no longer has them, nor knows how they end."""

from collections.abc import Collection

from pulumi import automation


def allow_deletion(stack: automation.Stack, names: Collection[str]) -> None:
    """Let the next `up` delete the resources of these names, if the program no longer has them.

    Their protection goes; and so does the hook that drains a node before its end, which only a program that still has
    the node would register: the engine would refuse to go on without it.
    """
    state = stack.export_stack()
    for resource in (state.deployment or {}).get("resources", []):
        if resource["urn"].rpartition("::")[2] in names:
            resource["protect"] = False
            resource.pop("resourceHooks", None)
    stack.import_stack(state)
