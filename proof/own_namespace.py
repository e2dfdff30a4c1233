"""A prod stack to be broken: smaller, and in a namespace of its own, so that nobody's own stack is touched."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from kubernetes.client import ApiException

from ops.parts import load_parts
from ops.stack import StackFiles, use_parts
from proof.namespace import Namespace, until
from proof.own_stack import OwnStack, limiting_nobody, own_console
from providers import kube

SMALL: Mapping[str, Any] = {"qdrantMemoryMib": "512", "qdrantStorageGib": "1"}


class OwnNamespace(OwnStack):
    """A described stack on Kubernetes, up or not; `prefix` is its namespace."""

    @cached_property
    def space(self) -> Namespace:
        return Namespace(self.prefix, self.files.settings().kubernetes.context)

    def trust_this_machine(self) -> None:
        """Nothing to do: no client stands for others where nobody is limited."""

    def bring_back(self) -> None:
        for machine in self.space.cordoned():
            self.space.uncordon(machine)
        self.up()

    def _remove_by_hand(self) -> None:
        try:
            self.space.core.delete_namespace(self.prefix)
        except ApiException as error:
            if not kube.is_gone(error):
                raise
        gone = f"metadata.name={self.prefix}"
        until(f"namespace {self.prefix} to go", lambda: not self.space.core.list_namespace(field_selector=gone).items)


def described(name: str, prefix: str) -> OwnNamespace:
    """A stack of that name, as yet only described; its clients are few pods, and its gateway limits nobody."""
    parts = load_parts()
    use_parts(parts)
    files = StackFiles(name=name, source="prod", parts=parts)
    return OwnNamespace(
        files=files.with_config(namePrefix=prefix, **SMALL, **limiting_nobody(files.settings())),
        console=own_console(),
        prefix=prefix,
    )
