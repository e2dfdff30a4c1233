"""What a stack may choose about its gateway."""

import re
from ipaddress import ip_network
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from components.gateway import valkey
from components.gateway.consumers import ConsumerEntry, ConsumerName
from components.gateway.plugins import BodyMib, Origin
from platforms.settings import FrozenSettings, PortNumber
from policies.invariants import limit_holds, names_a_proxy


class GatewaySettings(FrozenSettings):
    """Size, limits and callers of the gateway; defaults stand in Pulumi.yaml."""

    backend: Literal["database", "dbless"]
    nodes: int = Field(ge=1)
    most_nodes: int = Field(ge=1, description="how many autoscaling may run")
    database_address: str = Field(pattern=r"^$|^[A-Za-z0-9.-]+:\d{1,5}$", description="of a PostgreSQL; empty: our own")
    database_gib: int = Field(ge=1)
    http_port: PortNumber
    https_port: PortNumber
    admin_port: PortNumber
    update_seconds: int = Field(ge=1, le=60, description="how often a worker of Kong looks for changes")

    max_body_mib: BodyMib = Field(description="the largest body of a call, for the service behind it too")
    jwt_keys: tuple[str, ...] = Field(min_length=1, description="the `kid`s that are accepted; the first one signs")
    key_claim: Literal["kid", "iss"] = Field(description="by which claim or header of a token its key is found")
    consumers: dict[ConsumerName, ConsumerEntry] = Field(description="callers with keys of yours")
    token_hours: int = Field(ge=2, le=8760, description="the longest that a token may still be valid; Kong's most")
    cors_origins: tuple[Origin, ...] = Field(min_length=1)

    rate_limit_per_minute: int = Field(ge=1, description="answered calls of one client address")
    rate_limit_policy: Literal["local", "redis"]
    redis_address: str = Field(description="host:port of a Redis that keeps the counts; empty: our own Valkey")
    redis_timeout_ms: int = Field(ge=1, le=1000, description="what a call waits for a Redis that does not answer")

    flood_per_second: int = Field(ge=1, description="calls of one client address, refused ones included")
    flood_burst: int = Field(ge=1)
    trusted_proxies: tuple[str, ...] = Field(description="addresses whose X-Forwarded-For is believed")

    @field_validator("jwt_keys")
    @classmethod
    def keys_are_plain_and_different(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        bad = [key for key in keys if not re.fullmatch(r"[a-z][a-z0-9-]{0,60}", key)]
        if bad or len(set(keys)) < len(keys):
            raise ValueError(
                "expected different keys of lower case letters, digits and dashes, such as rag-client-1; "
                f"found {list(keys)}"
            )
        return keys

    @field_validator("rate_limit_policy")
    @classmethod
    def local_counts_on_one_node(cls, policy: str, info: ValidationInfo) -> str:
        nodes = info.data.get("nodes", 1)
        if not limit_holds(policy, nodes):
            raise ValueError(
                f"expected redis with {nodes} nodes of Kong, each of which would count for itself and let {nodes} "
                "times the limit pass; found local. Choose redis, or one node"
            )
        return policy

    @field_validator("redis_address")
    @classmethod
    def redis_is_named_when_used(cls, address: str, info: ValidationInfo) -> str:
        shared = info.data.get("rate_limit_policy") == "redis"
        if address and not (shared and re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}", address)):
            raise ValueError(
                f"expected host:port with the policy redis (or nothing, for a Valkey of our own), and nothing with "
                f"local; found {address!r}"
            )
        return address

    @field_validator("flood_burst")
    @classmethod
    def the_rate_limit_answers_first(cls, burst: int, info: ValidationInfo) -> int:
        limit = info.data.get("rate_limit_per_minute", 1)
        if burst < limit:
            raise ValueError(
                f"expected at least the rate limit ({limit}), so that it is the rate limit, with its headers, that "
                f"stops an ordinary client; found {burst}"
            )
        return burst

    @field_validator("trusted_proxies")
    @classmethod
    def proxies_are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            if not names_a_proxy(str(ip_network(proxy))):  # ip_network raises a ValueError that names what it found
                raise ValueError(
                    f"expected addresses of your own proxies, found {proxy}: any client could forge its own address"
                )
        return proxies

    @property
    def runs_postgres(self) -> bool:
        """Whether the gateway is kept in a PostgreSQL of this stack."""
        return self.backend == "database" and not self.database_address

    @property
    def counter_address(self) -> str:
        """`host:port` of the Redis in which the nodes count calls together; empty where each counts for itself."""
        return (self.redis_address or f"{valkey.NAME}:{valkey.PORT}") if self.rate_limit_policy == "redis" else ""

    @property
    def runs_valkey(self) -> bool:
        """Whether that Redis is a Valkey of this stack."""
        return bool(self.counter_address) and not self.redis_address
