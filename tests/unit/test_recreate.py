"""Stopped containers are started, removed ones are returned, running ones stay untouched."""

from types import SimpleNamespace
from typing import Any

from docker.errors import NotFound

from ops.recreate import CONTAINER, start_stopped


class Containers:
    """The engine's containers by id, and what was done to them."""

    def __init__(self, **status: str) -> None:
        self._status = status
        self.done: list[str] = []

    def get(self, container_id: str) -> Any:
        if container_id not in self._status:
            raise NotFound("no such container")
        return SimpleNamespace(
            name=f"rag-{container_id}",
            status=self._status[container_id],
            start=lambda: self.done.append(f"start {container_id}"),
            unpause=lambda: self.done.append(f"unpause {container_id}"),
        )


def recorded(*ids: str) -> list[dict[str, Any]]:
    return [{"type": CONTAINER, "urn": f"urn:{container_id}", "id": container_id} for container_id in ids]


def test_a_stopped_container_is_started_a_paused_one_resumed_and_a_removed_one_returned() -> None:
    containers = Containers(well="running", stopped="exited", frozen="paused")
    engine: Any = SimpleNamespace(containers=containers)
    found = start_stopped(engine, recorded("well", "stopped", "frozen", "gone"))
    assert found == (["rag-stopped", "rag-frozen"], ["urn:gone"])
    assert containers.done == ["start stopped", "unpause frozen"]


def test_other_resources_are_ignored() -> None:
    engine: Any = SimpleNamespace(containers=Containers())
    assert start_stopped(engine, [{"type": "docker:index/volume:Volume", "urn": "urn:v", "id": "v"}]) == ([], [])
