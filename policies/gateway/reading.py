"""Reading the gateway from its component's inputs: Kong's declarative format, with references for secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.declared import items, mapping, mappings, workload
from policies.rule import Subject

NODES = "kong"


def description(subject: Subject) -> Mapping[str, Any]:
    return mapping(subject.inputs.get("description"))


def services(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where it is, and each service that has routes: those that the public reaches."""
    for service in mappings(description(subject).get("services")):
        if items(service.get("routes")):
            yield subject.at(str(service.get("name"))), service


def plugins(subject: Subject, service: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The configuration of each enabled plugin of that name that runs for the service, global ones included."""
    for plugin in (*mappings(service.get("plugins")), *mappings(description(subject).get("plugins"))):
        if plugin.get("name") == name and plugin.get("enabled", True):
            yield mapping(plugin.get("config"))


def every_plugin(subject: Subject, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where, and the configuration, of each plugin of that name, wherever it runs."""
    found = description(subject)
    for owner in ({"name": "global", "plugins": found.get("plugins")}, *mappings(found.get("services"))):
        yield from _named(subject, owner, str(owner.get("name")), name)
    yield from consumers_plugins(subject, name)


def consumers_plugins(subject: Subject, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The same of the consumers, whose plugins take the place of those of services for their calls."""
    for consumer in mappings(description(subject).get("consumers")):
        yield from _named(subject, consumer, f"consumers.{consumer.get('username')}", name)


def _named(subject: Subject, owner: Mapping[str, Any], part: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for plugin in mappings(owner.get("plugins")):
        if plugin.get("name") == name:
            yield subject.at(part), mapping(plugin.get("config"))


def nodes(subject: Subject) -> int:
    """The number of Kong nodes."""
    return int(workload(subject, NODES).get("replicas", 1))
