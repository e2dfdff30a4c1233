"""The gateway as declarative YAML, for a Kong without a database: all of it at once, or none."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.gateway.description import Consumer, Gateway, Service, Upstream
from components.gateway.plugins import AnyPlugin, RateLimiting
from components.gateway.references import fill, fill_output
from components.yaml_text import yaml_text


def render(gateway: Gateway, secrets: Mapping[str, str] | None = None) -> str:
    """YAML for `kong config parse` and KONG_DECLARATIVE_CONFIG; without secrets their references stay, for people."""
    _reject_database_policies(gateway)
    tree = document(gateway)
    return _yaml(tree if secrets is None else fill(tree, secrets))


def render_output(gateway: Gateway, secrets: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """The same while a stack runs; the result is a secret."""
    _reject_database_policies(gateway)
    return fill_output(document(gateway), secrets).apply(_yaml)


def document(gateway: Gateway) -> dict[str, Any]:
    """The description in the shape of Kong's declarative format 3.0."""
    return {
        "_format_version": "3.0",
        "services": [_service(service) for service in gateway.services],
        "upstreams": [_upstream(upstream) for upstream in gateway.upstreams],
        "consumers": [_consumer(consumer) for consumer in gateway.consumers],
        "plugins": [_plugin(plugin) for plugin in gateway.plugins],
    }


def _service(service: Service) -> dict[str, Any]:
    plain = service.model_dump(mode="json", exclude_none=True, exclude={"upstream", "plugins", "routes"})
    return plain | {
        "host": service.host,
        "plugins": [_plugin(plugin) for plugin in service.plugins],
        "routes": [route.model_dump(mode="json", exclude_none=True) for route in service.routes],
    }


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "targets": [{"target": target.address, "weight": target.weight} for target in upstream.targets],
        "healthchecks": upstream.healthchecks.model_dump(mode="json"),
    }


def _consumer(consumer: Consumer) -> dict[str, Any]:
    credentials = [credential.model_dump(mode="json", exclude_none=True) for credential in consumer.jwt_credentials]
    found: dict[str, Any] = {"username": consumer.username, "jwt_secrets": credentials}
    groups = {"acls": [{"group": group} for group in consumer.groups]} if consumer.groups else {}
    return found | groups | ({"plugins": [_plugin(plugin) for plugin in consumer.plugins]} if consumer.plugins else {})


def _plugin(plugin: AnyPlugin) -> dict[str, Any]:
    return {"name": plugin.name, "enabled": True, "config": plugin.declared()}


def _reject_database_policies(gateway: Gateway) -> None:
    owners: list[Gateway | Service | Consumer] = [gateway, *gateway.services, *gateway.consumers]
    plugins = [plugin for owner in owners for plugin in owner.plugins]
    if any(isinstance(plugin, RateLimiting) and plugin.policy == "cluster" for plugin in plugins):
        raise ValueError("rate-limiting without a database: expected policy 'local' or 'redis', found 'cluster'")


def _yaml(tree: Any) -> str:
    return yaml_text(tree, width=120)
