"""Allowing the deletion of protected resources that the program no longer declares."""

from collections.abc import Collection

from pulumi import automation


def allow_deletion(stack: automation.Stack, names: Collection[str]) -> None:
    """Let the next `up` delete the resources of these names, if the program no longer has them.

    It removes their protection, and the hook that drains a node before its end: only a program that still declares
    the node registers that hook, and the engine refuses to go on without it.
    """
    state = stack.export_stack()
    for resource in (state.deployment or {}).get("resources", []):
        if resource["urn"].rpartition("::")[2] in names:
            resource["protect"] = False
            resource.pop("resourceHooks", None)
    stack.import_stack(state)
