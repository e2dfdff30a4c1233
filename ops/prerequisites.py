"""What a stack needs before it is deployed: a Docker engine of this machine, or a Kubernetes cluster."""

from collections.abc import Collection
from typing import Any, Protocol

from rich.console import Console

from ops.docker_prerequisites import DockerPrerequisites
from ops.kubernetes_prerequisites import KubernetesPrerequisites
from settings import Settings

Recorded = list[dict[str, Any]]


class Prerequisites(Protocol):
    """Checked and prepared before the engine runs."""

    def check(self) -> None:
        """OperatorError, with all that is missing at once, when the stack cannot run here."""

    def prepare(self, recorded: Recorded, console: Console, *, leaving: Collection[str] = ()) -> list[str]:
        """Remove orphans and start what was stopped; returns URNs of containers to recreate.

        `leaving` are names of replicas that stay stopped.
        """

    def clear(self, recorded: Recorded) -> None:
        """Remove orphans that would keep the stack from being removed."""


def prerequisites_of(settings: Settings) -> Prerequisites:
    """The prerequisites of the platform that the stack file names."""
    return DockerPrerequisites(settings) if settings.stack.platform == "docker" else KubernetesPrerequisites(settings)
