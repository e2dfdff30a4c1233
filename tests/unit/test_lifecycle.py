"""Whose containers run beside a state: only this checkout's own may be taken for leftovers."""

from pathlib import Path
from typing import Any

import pytest

from ops.docker_prerequisites import refuse_anothers
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
    refuse_anothers(Engine(running), Settings.from_file(Path("Pulumi.dev.yaml"), {}), recorded)


@pytest.mark.parametrize("recorded", [[], [VOLUME]], ids=["never up", "taken down"])
def test_containers_beside_a_state_without_their_network_are_anothers(recorded: list[dict[str, Any]]) -> None:
    with pytest.raises(OperatorError, match="found 2 that this checkout did not make"):
        refuse(2, recorded)


def test_ones_own_containers_and_an_empty_engine_are_let_be() -> None:
    refuse(2, [VOLUME, NETWORK])
    refuse(0, [])
