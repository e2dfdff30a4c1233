"""A container that runs to its end: done when it exited 0, and run again when it did not."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

REPEATS_ON = ("image", "command", "env")


class OneShotProvider(ResourceProvider):
    """Runs it; a failure leaves nothing in the state, so that the next `up` runs it again.

    (A published container resource takes every process that ended for a success, whatever its exit code.)
    """

    def create(self, props: dict[str, Any]) -> CreateResult:
        from access.docker_engine import run_to_end

        run_to_end(props)
        return CreateResult(id_=props["name"], outs=props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        from access.docker_engine import run_to_end

        run_to_end(news)
        return UpdateResult(outs=news)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """One that runs `once` in the life of a stack is never run again."""
        return DiffResult(changes=not news["once"] and any(olds.get(key) != news[key] for key in REPEATS_ON))


class OneShot(Resource, module="providers", name="OneShot"):
    """`command` in a container of `image`; its files are secret, `volume` is mounted at `volume_path` if given."""

    def __init__(
        self,
        name: str,
        *,
        container: str,
        image: pulumi.Input[str],
        command: list[str],
        label: str,
        network: pulumi.Input[str] = "none",
        env: dict[str, str] | None = None,
        files: dict[str, pulumi.Input[str]] | None = None,
        volume: str = "",
        volume_path: str = "",
        once: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {
            "name": container,
            "image": image,
            "command": command,
            "label": label,
            "network": network,
            "env": env or {},
            "files": pulumi.Output.secret(files or {}),
            "volume": volume,
            "volume_path": volume_path,
            "once": once,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["files"])
        super().__init__(OneShotProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))
