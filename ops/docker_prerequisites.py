"""Prerequisites on Docker: free ports, no containers of another checkout, no orphans, stopped containers started."""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

from docker import DockerClient
from rich.console import Console

from access.docker_engine import of_stack
from access.kong import AdminApi
from ops import orphans, preflight
from ops.elsewhere import check_elsewhere
from ops.pickled_code import plain
from ops.recreate import start_stopped
from ops.stack import OperatorError
from settings import Settings


class DockerPrerequisites:
    """See `ops.prerequisites.Prerequisites`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _engine(self) -> DockerClient:
        return preflight.connect_engine()

    @property
    def _prefix(self) -> str:
        return self._settings.stack.name_prefix

    def check(self) -> None:
        preflight.check_ports(self._settings, self._engine)
        check_elsewhere(self._settings)

    def prepare(self, recorded: list[dict[str, Any]], console: Console, *, leaving: Collection[str] = ()) -> list[str]:
        refuse_foreign_containers(self._engine, self._settings, recorded)
        removed = orphans.remove_orphan_containers(self._engine, self._prefix, recorded)
        removed += orphans.remove_orphan_entities(admin_api(self._settings, recorded), recorded)
        for name in removed:
            console.print(f"removed {name}: not in this stack's state (an interrupted run, or by hand), holds no data")
        staying = [resource for resource in recorded if resource["urn"].rpartition("::")[2] not in leaving]
        started, gone = start_stopped(self._engine, staying)
        for name in started:
            console.print(f"started {name}: it was stopped")
        return gone

    def clear(self, recorded: list[dict[str, Any]]) -> None:
        """An orphan on the network, or on a volume, would keep that from being removed."""
        if _network(recorded):
            orphans.remove_orphan_containers(self._engine, self._prefix, recorded)


def refuse_foreign_containers(engine: DockerClient, settings: Settings, recorded: list[dict[str, Any]]) -> None:
    """OperatorError when containers run and the state has no network: another checkout made them."""
    prefix = settings.stack.name_prefix
    running = engine.containers.list(filters=of_stack(prefix))
    if running and not _network(recorded):
        raise OperatorError(
            f"expected no container of a stack {prefix}, found {len(running)} that this checkout did not make; "
            "take that stack down where it was made, or set rag-platform:namePrefix (and other ports) here"
        )


def _network(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stack's network, which is created before its containers and removed after them; empty: none run."""
    return [resource for resource in recorded if resource["type"] == "docker:index/network:Network"]


def admin_api(settings: Settings, recorded: Iterable[dict[str, Any]]) -> AdminApi:
    """The gateway's Admin API, from this machine, with the token that the state holds for its provider."""
    providers = [resource for resource in recorded if resource["type"] == "pulumi:providers:kong"]
    token = next((plain(each["inputs"].get("kongAdminToken")) for each in providers), "")
    return AdminApi(url=f"http://127.0.0.1:{settings.gateway.admin_port}", token=token)
