"""What a stack stands on, as its operator meets it: this machine's Docker engine, or a Kubernetes cluster."""

from collections.abc import Collection
from typing import Any, Protocol

from rich.console import Console

from ops.docker_prerequisites import DockerGround
from ops.kubernetes_prerequisites import KubernetesGround
from settings import Settings

Recorded = list[dict[str, Any]]


class Prerequisites(Protocol):
    """Looked at before anything is made, and cleared of what an interrupted run left."""

    def check(self) -> None:
        """OperatorError, with all that is missing at once, when the stack cannot come up here."""

    def prepare(self, recorded: Recorded, console: Console, *, leaving: Collection[str] = ()) -> list[str]:
        """Clear what the state does not know and bring back what was stopped; returns URNs that must be made anew.

        Replicas that are `leaving`, by their names, are not brought back.
        """

    def clear(self, recorded: Recorded) -> None:
        """Remove what would keep the stack from going."""


def ground_of(settings: Settings) -> Prerequisites:
    """By the platform that the stack file names."""
    return DockerGround(settings) if settings.stack.platform == "docker" else KubernetesGround(settings)
