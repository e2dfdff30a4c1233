"""Orphans: what an interrupted run created and did not record. Removed by label or id; never volumes.

And the other way round: what the state records of the gateway's database, and the database has lost.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import docker

from access.docker_engine import of_stack
from access.kong import AdminApi


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


def remove_orphan_entities(admin: AdminApi, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """Remove entities of the gateway's database that are not in the state; none when no gateway answers."""
    known = {part for resource in recorded for part in _ids(resource)}
    orphans = [(path, entity) for path, entity in admin.entities() or () if entity["id"] not in known]
    for path, entity in orphans:
        admin.delete(path, entity)
    return [f"{path.rpartition('/')[2]}/{_name(entity)}" for path, entity in orphans]


def lost_entities(admin: AdminApi, recorded: Iterable[dict[str, Any]]) -> list[str]:
    """URNs of the state's entities that the gateway's database does not hold; none when no gateway answers."""
    held = admin.entities()
    if held is None:
        return []
    present = {entity["id"] for _, entity in held}
    entities = [resource for resource in recorded if str(resource.get("type")).startswith("kong:")]
    return [str(resource["urn"]) for resource in entities if not present.issuperset(_ids(resource))]


def _ids(resource: Mapping[str, Any]) -> list[str]:
    """An entity below an owner is recorded with the owner's id beside its own: `owner/target`, `jwt|owner`."""
    return re.split(r"[/|]", str(resource.get("id")))


def _name(entity: Mapping[str, Any]) -> str:
    return str(next(entity[key] for key in ("name", "username", "target", "key", "group", "id") if entity.get(key)))
