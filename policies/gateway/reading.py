"""Reading the gateway as its component hands it over: Kong's declarative format, with references for secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.declared import items, mapping, workload
from policies.rule import Subject

NODES = "kong"


def description(subject: Subject) -> Mapping[str, Any]:
    return mapping(subject.inputs.get("description"))


def services(subject: Subject) -> Iterator[Mapping[str, Any]]:
    """The services that have routes: those that the public reaches."""
    for service in map(mapping, items(description(subject).get("services"))):
        if items(service.get("routes")):
            yield service


def plugins(subject: Subject, service: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The configuration of each enabled plugin of that name that runs for the service, global ones included."""
    for plugin in map(mapping, [*items(service.get("plugins")), *items(description(subject).get("plugins"))]):
        if plugin.get("name") == name and plugin.get("enabled", True):
            yield mapping(plugin.get("config"))


def every_plugin(subject: Subject, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where, and the configuration, of each plugin of that name, wherever it runs."""
    found = description(subject)
    everywhere = [("global", plugin) for plugin in items(found.get("plugins"))]
    owned = [
        (str(mapping(service).get("name")), plugin)
        for service in items(found.get("services"))
        for plugin in items(mapping(service).get("plugins"))
    ]
    for owner, plugin in [*everywhere, *owned]:
        if mapping(plugin).get("name") == name:
            yield subject.at(owner), mapping(plugin.get("config"))


def nodes(subject: Subject) -> int:
    """How many nodes of Kong count and route by themselves."""
    return int(workload(subject, NODES).get("replicas", 1))
