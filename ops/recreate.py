"""Containers that were stopped or removed by hand: started, or returned so that the engine recreates them.

The engine trusts its state, and a refresh would read the gateway's entities, which fails while the gateway is down.
"""

from collections.abc import Iterable
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

CONTAINER = "docker:index/container:Container"


def start_stopped(engine: DockerClient, recorded: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Start the recorded containers that are stopped; returns their names, and the URNs of those to recreate."""
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
