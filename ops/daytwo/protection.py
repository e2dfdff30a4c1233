"""Taking the protection off data that is given up on purpose; the program protects it again where it still stands."""

from collections.abc import Collection

from pulumi import automation


def unprotect(stack: automation.Stack, names: Collection[str]) -> None:
    """Let the next `up` delete the resources of these names, if the program no longer has them."""
    state = stack.export_stack()
    for resource in (state.deployment or {}).get("resources", []):
        if resource["urn"].rpartition("::")[2] in names:
            resource["protect"] = False
    stack.import_stack(state)
