"""What the gateway is: services behind upstreams, their routes and plugins, and the consumers that may call them.

A description is plain data: it can be printed, compared with `==` and published, because its secrets are references.
It cannot be built wrong: every check is made at construction, so a mistake stops a preview.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from components.gateway.plugins import (
    AnyPlugin,
    Host,
    Jwt,
    Model,
    Path,
    Port,
    RateLimiting,
    RequestSizeLimiting,
    SecretReference,
    Text,
)
from components.gateway.public_keys import KEY_NAME, LONGEST_NAME, Asymmetric, Symmetric
from policies.invariants import brings_back, tokens_expire

Key = Annotated[str, StringConstraints(pattern=KEY_NAME, max_length=LONGEST_NAME)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]+$")]
Count = Annotated[int, Field(ge=0, le=255)]
Seconds = Annotated[int, Field(ge=0, le=65535)]  # Kong takes fractions, pulumi-kong does not
Milliseconds = Annotated[int, Field(ge=1, le=2**31 - 2)]
Statuses = tuple[Annotated[int, Field(ge=100, le=999)], ...]
Protocol = Literal["http", "https"]


class ActiveHealthy(Model):
    interval: Seconds = 0
    http_statuses: Statuses = (200, 302)
    successes: Count = 0


class ActiveUnhealthy(Model):
    interval: Seconds = 0
    http_statuses: Statuses = (429, 404, 500, 501, 502, 503, 504, 505)
    tcp_failures: Count = 0
    timeouts: Count = 0
    http_failures: Count = 0


class ActiveChecks(Model):
    type: Literal["http", "https", "tcp"] = "http"
    timeout: Seconds = 1
    concurrency: Annotated[int, Field(ge=1, le=2**31)] = 10
    http_path: Path = "/"
    https_verify_certificate: bool = True
    healthy: ActiveHealthy = ActiveHealthy()
    unhealthy: ActiveUnhealthy = ActiveUnhealthy()


class PassiveHealthy(Model):
    http_statuses: Statuses = (200, 201, 202, 203, 204, 205, 206, 207, 208, 226, *range(300, 309))
    successes: Count = 0


class PassiveUnhealthy(Model):
    http_statuses: Statuses = (429, 500, 503)
    tcp_failures: Count = 0
    timeouts: Count = 0
    http_failures: Count = 0


class PassiveChecks(Model):
    type: Literal["http", "https", "tcp"] = "http"
    healthy: PassiveHealthy = PassiveHealthy()
    unhealthy: PassiveUnhealthy = PassiveUnhealthy()


class HealthChecks(Model):
    active: ActiveChecks = ActiveChecks()
    passive: PassiveChecks = PassiveChecks()

    @model_validator(mode="after")
    def _a_target_is_taken_out_and_brought_back(self) -> Self:
        failing, healthy = self.passive.unhealthy, self.active.healthy
        takes_out = failing.tcp_failures or failing.timeouts or failing.http_failures
        if takes_out and not brings_back(healthy.interval, healthy.successes):
            raise ValueError(
                "passive checks take a target out: expected active.healthy.interval and .successes above 0 to bring it"
                f" back, found {healthy.interval} and {healthy.successes}: Kong would never use the target again"
            )
        if self.active.unhealthy.interval and (undo := self.passive.healthy.successes):
            raise ValueError(
                f"active checks take a target out: expected passive.healthy.successes to be 0, found {undo}: each "
                "answered call would undo a failed check, and a target that leaves would be used until it is gone"
            )
        return self


class Target(Model):
    address: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")]
    weight: Annotated[int, Field(ge=1, le=65535)] = 100  # pulumi-kong drops a 0, and Kong then takes 100


class Upstream(Model):
    name: Host
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    healthchecks: HealthChecks = HealthChecks()


class Route(Model):
    name: Name
    paths: Annotated[tuple[Path, ...], Field(min_length=1)]
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...] | None = None
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("http", "https")
    strip_path: bool = True
    preserve_host: bool = False
    request_buffering: bool = True
    response_buffering: bool = True


class Service(Model):
    """One backend, reached through its upstream; its plugins run for each of its routes, and all of them are public."""

    name: Name
    upstream: Upstream
    protocol: Protocol = "http"
    port: Port = 80
    path: Path | None = None
    tls_verify: bool | None = None
    tags: tuple[Name, ...] | None = None
    retries: Annotated[int, Field(ge=0, le=32767)] = 5
    connect_timeout: Milliseconds = 60000
    write_timeout: Milliseconds = 60000
    read_timeout: Milliseconds = 60000
    plugins: tuple[AnyPlugin, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def host(self) -> str:
        """Kong balances over an upstream only when the service's host is its name."""
        return self.upstream.name

    @model_validator(mode="after")
    def _public_routes_have_jwt_and_limits(self) -> Self:
        _reject_duplicates(f"plugins of service '{self.name}'", (plugin.name for plugin in self.plugins))
        if self.routes and not any(_verifies_expiry(plugin) for plugin in self.plugins):
            raise ValueError(
                f"service '{self.name}': expected a Jwt plugin with claims_to_verify=('exp',) and no anonymous consumer"
                " before its routes, found none: without 'exp' Kong accepts tokens for ever"
            )
        for needed in (RateLimiting, RequestSizeLimiting) if self.routes else ():
            if not any(isinstance(plugin, needed) for plugin in self.plugins):
                raise ValueError(
                    f"service '{self.name}': expected a {needed.__name__} plugin for its routes, found none"
                )
        return self


class JwtCredential(Model):
    """A key that signs tokens, or verifies them; `key` is the token's `kid`, or its `iss`."""

    key: Key
    secret: SecretReference | None = None
    algorithm: Symmetric | Asymmetric = "HS256"
    rsa_public_key: Text | None = None  # Kong's name for the public half of any kind

    @model_validator(mode="after")
    def _has_what_its_algorithm_needs(self) -> Self:
        symmetric = self.algorithm in get_args(Symmetric)
        if (self.secret is not None) is not symmetric or (self.rsa_public_key is not None) is symmetric:
            needed = "a secret" if symmetric else "a public key"
            raise ValueError(f"key '{self.key}': expected {needed} alone with {self.algorithm}, found otherwise")
        return self


class Consumer(Model):
    """A caller by name; its plugins take the place of those of routes for its calls."""

    username: Text
    jwt_credentials: tuple[JwtCredential, ...] = ()
    groups: tuple[Name, ...] = ()
    plugins: tuple[AnyPlugin, ...] = ()


class Gateway(Model):
    services: tuple[Service, ...]
    consumers: tuple[Consumer, ...] = ()
    plugins: tuple[AnyPlugin, ...] = ()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Each upstream once, however many services share it."""
        return tuple(dict.fromkeys(service.upstream for service in self.services))

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _reject_duplicates("global plugins", (plugin.name for plugin in self.plugins))
        _reject_duplicates("services", (service.name for service in self.services))
        _reject_duplicates("upstreams", (upstream.name for upstream in self.upstreams))
        _reject_duplicates("routes", (route.name for service in self.services for route in service.routes))
        _reject_duplicates("consumers", (consumer.username for consumer in self.consumers))
        _reject_duplicates("JWT keys", (jwt.key for consumer in self.consumers for jwt in consumer.jwt_credentials))
        return self


def _verifies_expiry(plugin: AnyPlugin) -> bool:
    return isinstance(plugin, Jwt) and tokens_expire(plugin.claims_to_verify or ()) and plugin.anonymous is None


def _reject_duplicates(kind: str, names: Iterable[str]) -> None:
    if duplicates := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"{kind}: expected each name once, found {', '.join(duplicates)} more often: rename one")
