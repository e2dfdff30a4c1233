"""Orphans: what an interrupted run created and did not record. Removed by label or id; never volumes."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

import docker
import requests

from access.direct import direct_request
from access.docker_engine import of_stack

# Dependents first: Kong refuses to delete a service that a route or plugin still names.
GATEWAY_KINDS = ("routes", "plugins", "services", "upstreams", "consumers")
WITHIN = {"upstreams": "targets", "consumers": "jwt"}  # owner -> entities that are listed and deleted below it


def remove_orphan_containers(engine: docker.DockerClient, prefix: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove the stack's containers and networks that are not in its state; returns their names."""
    known = {resource.get("id") for resource in recorded}
    containers = engine.containers.list(all=True, filters=of_stack(prefix))
    networks = engine.networks.list(filters=of_stack(prefix))
    orphans, unused = ([each for each in found if each.id not in known] for found in (containers, networks))
    for container in orphans:
        container.remove(force=True)
    for network in unused:
        network.remove()
    return [*(str(each.name) for each in orphans), *(f"network {each.name}" for each in unused)]


def remove_orphan_entities(admin_url: str, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove entities of the gateway's database that are not in the state; none when no gateway answers."""
    # An entity below an owner is recorded with the owner's id beside its own: `owner/target`, `jwt|owner`.
    known = {part for resource in recorded for part in re.split(r"[/|]", str(resource.get("id")))}
    removed: list[str] = []
    for kind in GATEWAY_KINDS:
        removed += _remove_unknown(admin_url, kind, known)
        for owner in _entities(admin_url, kind) if kind in WITHIN else []:
            removed += _remove_unknown(admin_url, f"{kind}/{owner['id']}/{WITHIN[kind]}", known)
    return removed


def _remove_unknown(admin_url: str, path: str, known: Container[str]) -> list[str]:
    orphans = [entity for entity in _entities(admin_url, path) if entity["id"] not in known]
    for orphan in orphans:
        direct_request("DELETE", f"{admin_url}/{path}/{orphan['id']}", timeout=5).raise_for_status()
    return [f"{path.rpartition('/')[2]}/{_name(orphan)}" for orphan in orphans]


def _entities(admin_url: str, path: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = direct_request("GET", f"{admin_url}/{path}?size=1000", timeout=5).json()["data"]
    except (requests.RequestException, ValueError, KeyError):
        return []
    return found


def _name(entity: Mapping[str, Any]) -> str:
    return str(next(entity[key] for key in ("name", "username", "target", "key", "id") if entity.get(key)))
