"""The gateway in Kong's database, through pulumi-kong; its known bugs are worked around here and nowhere else.

What is set although it is a default is set on purpose: pulumi-kong repairs a change made by hand only where a value was
given. `delete_before_replace` is True where a name is unique in Kong, which refuses a duplicate with 409. For
plugins it is False: while a plugin is gone its routes are open, while its duplicate is refused they stay closed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi_kong as kong
from pulumi import Input, Output, Resource, ResourceOptions

from components.gateway.description import Consumer, Gateway, JwtCredential, Route, Service, Upstream
from components.gateway.plugins import AnyPlugin, Jwt
from components.gateway.references import fill_output, names_in
from components.gateway.settings import GatewaySettings
from providers.guarded import RouteGuard

CANARY_HEADER = "X-Canary"
CANARY = "canary-token"  # the name of a secret


@dataclass(frozen=True, kw_only=True)
class AdminApi:
    """Where the gateway is published: entities by `provider`, children of `parent`, after all of `after`."""

    parent: Resource
    provider: kong.Provider
    secrets: Mapping[str, Input[str]]
    proxy_urls: Sequence[Input[str]]  # one for each node of Kong, as this machine reaches it
    span_seconds: float
    after: Sequence[Resource] = ()
    kept_in: Resource | None = None  # the database's volume: deleted with it, entities need no running Kong

    def opts(self, *after: Resource, **more: Any) -> ResourceOptions:
        return ResourceOptions(
            parent=self.parent,
            provider=self.provider,
            depends_on=[*self.after, *after],
            deleted_with=self.kept_in,
            **more,
        )


def update_env(settings: GatewaySettings) -> dict[str, str]:
    """How often each worker, and each node, of Kong looks for changes; the route guard waits by the same number."""
    period = str(settings.update_seconds)
    return {"KONG_WORKER_STATE_UPDATE_FREQUENCY": period, "KONG_DB_UPDATE_FREQUENCY": period}


def span_seconds(settings: GatewaySettings) -> float:
    """After this long with the same answer, every worker of every node has had its timers, one after the other."""
    return 2 * settings.update_seconds + 1


def publish(gateway: Gateway, api: AdminApi) -> list[Resource]:
    """Put the gateway into Kong's database; its routes, which are returned, come after their plugins are at work."""
    everywhere = [_plugin(f"global-{plugin.name}", plugin, api) for plugin in gateway.plugins]
    consumers = [entity for consumer in gateway.consumers for entity in _consumer(consumer, api)]
    named: set[str] = set()
    upstreams = {upstream.name: _upstream(upstream, api, named) for upstream in gateway.upstreams}
    return consumers + [
        route for service in gateway.services for route in _service(service, upstreams[service.host], everywhere, api)
    ]


def _service(
    service: Service, upstream: Sequence[Resource], everywhere: Sequence[Resource], api: AdminApi
) -> list[Resource]:
    """Service, plugins, canary, route guard, and only then the public routes."""
    entity = kong.Service(
        service.name,
        name=service.name,
        host=service.host,
        **service.model_dump(mode="json", exclude={"name", "upstream", "plugins", "routes"}, exclude_none=True),
        opts=api.opts(*upstream, delete_before_replace=True),
    )
    plugins = [_plugin(f"{service.name}-{plugin.name}", plugin, api, entity.id) for plugin in service.plugins]
    guard = _route_guard(service, entity, [*everywhere, *plugins], api)
    return [_route(route, entity, api.opts(guard, delete_before_replace=True)) for route in service.routes]


def _upstream(upstream: Upstream, api: AdminApi, named: set[str]) -> list[Resource]:
    """The upstream and its targets; `named` are the addresses that a target of another upstream is called by."""
    entity = kong.Upstream(
        upstream.name,
        name=upstream.name,
        slots=10000,
        hash_on="none",
        hash_fallback="none",
        healthchecks=cast(kong.UpstreamHealthchecksArgsDict, upstream.healthchecks.model_dump(mode="json")),
        opts=api.opts(delete_before_replace=True),
    )
    targets = [
        kong.Target(
            f"{upstream.name}-{target.address}" if target.address in named else target.address,
            target=target.address,
            weight=target.weight,
            upstream_id=entity.id,
            opts=api.opts(delete_before_replace=True),
        )
        for target in upstream.targets
    ]
    named.update(target.address for target in upstream.targets)
    return [entity, *targets]


def _plugin(
    name: str,
    plugin: AnyPlugin,
    api: AdminApi,
    service_id: Input[str] | None = None,
    consumer_id: Input[str] | None = None,
) -> kong.Plugin:
    return kong.Plugin(
        name,
        name=plugin.name,
        service_id=service_id,
        consumer_id=consumer_id,
        enabled=True,
        strict_match=True,
        config_json=_config_json(plugin, api.secrets),
        opts=api.opts(additional_secret_outputs=["computed_config"], delete_before_replace=False),
    )


def _config_json(plugin: AnyPlugin, secrets: Mapping[str, Input[str]]) -> Input[str]:
    """In Go's own form, sorted and without spaces, so that what is read back is equal to what was sent."""
    config = plugin.config()
    return fill_output(config, secrets).apply(_compact) if names_in(config) else _compact(config)


def _compact(config: Any) -> str:
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def _route_guard(service: Service, entity: kong.Service, plugins: Sequence[Resource], api: AdminApi) -> RouteGuard:
    host, secret = f"canary.{service.name}.internal", api.secrets[CANARY]
    canary = kong.Route(
        f"{service.name}-canary",
        name=f"{service.name}-canary",
        service_id=entity.id,
        protocols=["http", "https"],
        hosts=[host],
        headers=[{"name": CANARY_HEADER, "values": [Output.secret(secret)]}],
        paths=["/"],
        strip_path=False,
        preserve_host=False,
        opts=api.opts(*plugins, delete_before_replace=True),
    )
    return RouteGuard(
        service.name,
        service=service.name,
        proxy_urls=list(api.proxy_urls),
        canary_host=host,
        canary_header=CANARY_HEADER,
        canary_secret=secret,
        public_paths=[path for route in service.routes for path in route.paths],
        span_seconds=api.span_seconds,
        guards={
            "jwt": [plugin.declared() for plugin in service.plugins if isinstance(plugin, Jwt)],
            "service": entity.id,
            "plugins": [plugin.id for plugin in plugins if isinstance(plugin, kong.Plugin)],
        },
        opts=ResourceOptions(parent=api.parent, depends_on=[canary], deleted_with=api.kept_in),
    )


def _route(route: Route, entity: kong.Service, opts: ResourceOptions) -> kong.Route:
    return kong.Route(
        route.name,
        service_id=entity.id,
        **route.model_dump(mode="json", exclude_none=True),
        path_handling="v0",
        https_redirect_status_code=426,
        opts=opts,
    )


def _consumer(consumer: Consumer, api: AdminApi) -> list[Resource]:
    name = consumer.username
    entity = kong.Consumer(name, username=name, opts=api.opts(delete_before_replace=True))
    groups = [
        kong.ConsumerAcl(
            f"{name}-{group}", consumer_id=entity.id, group=group, opts=api.opts(delete_before_replace=True)
        )
        for group in consumer.groups
    ]
    plugins = [
        _plugin(f"consumers.{name}-{plugin.name}", plugin, api, consumer_id=entity.id) for plugin in consumer.plugins
    ]
    # Its groups and limits are there before its first token is good.
    ready = api.opts(*groups, *plugins, delete_before_replace=True)
    return [_credential(credential, entity, api.secrets, ready) for credential in consumer.jwt_credentials]


def _credential(
    credential: JwtCredential, consumer: kong.Consumer, secrets: Mapping[str, Input[str]], opts: ResourceOptions
) -> kong.ConsumerJwtAuth:
    """pulumi-kong wants secret and public key, and Kong refuses an empty one: it ignores the one it does not need."""
    unused = f"not-used-by-{credential.algorithm.lower()}"
    return kong.ConsumerJwtAuth(
        credential.key,
        consumer_id=consumer.id,
        key=credential.key,
        secret=fill_output(credential.secret, secrets) if credential.secret else unused,
        algorithm=credential.algorithm,
        rsa_public_key=credential.rsa_public_key or unused,
        opts=opts,
    )
