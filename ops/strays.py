"""What an interrupted run made and did not record: found by its label, and removed; data is never among it."""

from collections.abc import Iterable
from typing import Any

import docker
import requests

# Dependents first: a service cannot go while a route or plugin still names it.
GATEWAY_KINDS = ("routes", "plugins", "services", "upstreams", "consumers")


def remove_stray_containers(engine: docker.DockerClient, prefix: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove this stack's containers and networks that its state does not know; returns their names."""
    known = {resource.get("id") for resource in recorded}
    strays = [
        container
        for container in engine.containers.list(all=True, filters={"label": f"rag-platform={prefix}"})
        if container.id not in known
    ]
    names = [str(container.name) for container in strays]
    for container in strays:
        container.remove(force=True)
    for network in engine.networks.list(filters={"label": f"rag-platform={prefix}"}):
        if network.id not in known:
            network.remove()
            names.append(f"network {network.name}")
    return names


def remove_stray_entities(admin_url: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove what the gateway's own database holds and the state does not know; nothing when no gateway answers."""
    known = {str(resource.get("id")) for resource in recorded}
    removed: list[str] = []
    for kind in GATEWAY_KINDS:
        try:
            entities = requests.get(f"{admin_url}/{kind}?size=1000", timeout=5).json()["data"]
        except (requests.RequestException, ValueError, KeyError):
            return removed
        for entity in entities:
            if entity["id"] not in known:
                requests.delete(f"{admin_url}/{kind}/{entity['id']}", timeout=5).raise_for_status()
                removed.append(f"{kind}/{entity.get('name') or entity.get('username') or entity['id']}")
    return removed
