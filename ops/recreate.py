"""What was stopped or removed by hand: started again, or named so that the engine makes it again.

The engine trusts its state, and a refresh cannot be had while the gateway, whose entities it would read, is away.
"""

from collections.abc import Iterable
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

CONTAINER = "docker:index/container:Container"


def restore_containers(engine: DockerClient, recorded: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Start what was stopped; returns the names of those, and the URNs of containers that are no more."""
    started, gone = [], []
    for resource in recorded:
        if resource["type"] != CONTAINER or "id" not in resource:
            continue
        try:
            container = engine.containers.get(resource["id"])
        except NotFound:
            gone.append(str(resource["urn"]))
            continue
        if container.status == "paused":
            container.unpause()
        elif container.status != "running":
            container.start()
        else:
            continue
        started.append(str(container.name))
    return started, gone
