"""What an interrupted run made and did not record: found by its label, and removed; data is never among it."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

import docker
import requests

from access.docker_engine import of_stack

# Dependents first: a service cannot go while a route or plugin still names it.
GATEWAY_KINDS = ("routes", "plugins", "services", "upstreams", "consumers")
WITHIN = {"upstreams": "targets", "consumers": "jwt"}  # entities that are listed, and go, only below their owner


def remove_stray_containers(engine: docker.DockerClient, prefix: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove this stack's containers and networks that its state does not know; returns their names."""
    known = {resource.get("id") for resource in recorded}
    orphans = [
        container
        for container in engine.containers.list(all=True, filters=of_stack(prefix))
        if container.id not in known
    ]
    names = [str(container.name) for container in orphans]
    for container in orphans:
        container.remove(force=True)
    for network in engine.networks.list(filters=of_stack(prefix)):
        if network.id not in known:
            network.remove()
            names.append(f"network {network.name}")
    return names


def remove_stray_entities(admin_url: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove what the gateway's own database holds and the state does not know; nothing when no gateway answers."""
    # What stands below an owner is recorded with the owner's id beside its own: `owner/target`, `jwt|owner`.
    known = {part for resource in recorded for part in re.split(r"[/|]", str(resource.get("id")))}
    removed: list[str] = []
    for kind in GATEWAY_KINDS:
        removed += _remove_unknown(admin_url, kind, known)
        for owner in _entities(admin_url, kind) if kind in WITHIN else []:
            removed += _remove_unknown(admin_url, f"{kind}/{owner['id']}/{WITHIN[kind]}", known)
    return removed


def _remove_unknown(admin_url: str, path: str, known: Container[str]) -> list[str]:
    orphans = [entity for entity in _entities(admin_url, path) if entity["id"] not in known]
    for stray in orphans:
        requests.delete(f"{admin_url}/{path}/{stray['id']}", timeout=5).raise_for_status()
    return [f"{path.rpartition('/')[2]}/{_called(stray)}" for stray in orphans]


def _entities(admin_url: str, path: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = requests.get(f"{admin_url}/{path}?size=1000", timeout=5).json()["data"]
    except (requests.RequestException, ValueError, KeyError):
        return []
    return found


def _called(entity: Mapping[str, Any]) -> str:
    return str(next(entity[key] for key in ("name", "username", "target", "key", "id") if entity.get(key)))
