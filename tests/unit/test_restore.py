"""What was stopped is started, what is gone is named, and what runs is let be."""

from types import SimpleNamespace
from typing import Any

from docker.errors import NotFound

from ops.recreate import CONTAINER, restore_containers


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


def test_each_container_is_brought_back_as_it_needs() -> None:
    containers = Containers(well="running", stopped="exited", frozen="paused")
    engine: Any = SimpleNamespace(containers=containers)
    found = restore_containers(engine, recorded("well", "stopped", "frozen", "gone"))
    assert found == (["rag-stopped", "rag-frozen"], ["urn:gone"])
    assert containers.done == ["start stopped", "unpause frozen"]


def test_what_is_no_container_is_not_looked_for() -> None:
    engine: Any = SimpleNamespace(containers=Containers())
    assert restore_containers(engine, [{"type": "docker:index/volume:Volume", "urn": "urn:v", "id": "v"}]) == ([], [])
