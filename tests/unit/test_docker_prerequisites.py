"""Containers of another checkout's stack are never taken for orphans of this one."""

from pathlib import Path
from typing import Any

import pytest

from ops.docker_prerequisites import admin_api, refuse_foreign_containers
from ops.stack import OperatorError
from settings import Settings

NETWORK = {"type": "docker:index/network:Network", "id": "n"}
VOLUME = {"type": "docker:index/volume:Volume", "id": "rag-dev-qdrant-0", "protect": True}


class Engine:
    """Runs that many containers with the label of the stack."""

    def __init__(self, running: int) -> None:
        self.containers = self
        self._running = running

    def list(self, filters: dict[str, str]) -> list[object]:
        assert filters == {"label": "rag-platform=rag-dev"}
        return [object()] * self._running


def refuse(running: int, recorded: list[dict[str, Any]]) -> None:
    refuse_foreign_containers(Engine(running), Settings.from_file(Path("Pulumi.dev.yaml"), {}), recorded)


@pytest.mark.parametrize("recorded", [[], [VOLUME]], ids=["never up", "taken down"])
def test_containers_whose_network_is_not_in_the_state_are_refused(recorded: list[dict[str, Any]]) -> None:
    with pytest.raises(OperatorError, match="found 2 that this checkout did not make"):
        refuse(2, recorded)


def test_own_containers_and_an_empty_engine_pass() -> None:
    refuse(2, [VOLUME, NETWORK])
    refuse(0, [])


def test_the_admin_api_is_called_with_the_token_that_the_state_holds() -> None:
    settings = Settings.from_file(Path("Pulumi.dev.yaml"), {})
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"t-1"'}
    provider = {"type": "pulumi:providers:kong", "inputs": {"kongAdminToken": secret}}
    assert admin_api(settings, [VOLUME, provider]).headers == {"Kong-Admin-Token": "t-1"}
    assert admin_api(settings, [{**provider, "inputs": {}}]).headers == {}  # of a stack from before there was one
    assert admin_api(settings, []).url == "http://127.0.0.1:8001"
