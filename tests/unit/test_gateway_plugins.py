"""The plugin models promise Kong 3.9.3's schema: its fields, its defaults, its bounds."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from components.gateway.plugins import (
    Cors,
    Jwt,
    Names,
    Prometheus,
    RateLimiting,
    Redis,
    RequestSizeLimiting,
    RequestTransformer,
    Values,
)
from components.gateway.references import fill, names_in, reference

# As read in kong/plugins/*/schema.lua and kong/tools/redis/schema.lua of Kong 3.9.3: field -> default.
NAMED: dict[str, list[str]] = {"body": [], "headers": [], "querystring": []}
REDIS = {
    "host": None,
    "port": 6379,
    "timeout": 2000,
    "username": None,
    "password": None,
    "database": 0,
    "ssl": False,
    "ssl_verify": False,
    "server_name": None,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "jwt": {
        "uri_param_names": ["jwt"],
        "cookie_names": [],
        "key_claim_name": "iss",
        "secret_is_base64": False,
        "claims_to_verify": None,
        "anonymous": None,
        "run_on_preflight": True,
        "maximum_expiration": 0,
        "header_names": ["authorization"],
        "realm": None,
    },
    "request-size-limiting": {
        "allowed_payload_size": 128,
        "size_unit": "megabytes",
        "require_content_length": False,
    },
    "rate-limiting": {
        **dict.fromkeys(("second", "hour", "day", "month", "year")),
        "minute": 100,  # at least one limit must be there
        "limit_by": "consumer",
        "header_name": None,
        "path": None,
        "policy": "local",
        "fault_tolerant": True,
        "redis": REDIS,
        "hide_client_headers": False,
        "error_code": 429,
        "error_message": "API rate limit exceeded",
        "sync_rate": -1,
        # deprecated, and still in every answer
        "redis_host": None,
        "redis_port": 6379,
        "redis_timeout": 2000,
        "redis_username": None,
        "redis_password": None,
        "redis_database": 0,
        "redis_ssl": False,
        "redis_ssl_verify": False,
        "redis_server_name": None,
    },
    "cors": {
        "origins": None,
        "headers": None,
        "exposed_headers": None,
        "methods": ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"],
        "max_age": None,
        "credentials": False,
        "private_network": False,
        "preflight_continue": False,
    },
    "request-transformer": {
        "http_method": None,
        "remove": NAMED,
        "rename": NAMED,
        "replace": {**NAMED, "uri": None},
        "add": NAMED,
        "append": NAMED,
    },
    "prometheus": {
        "per_consumer": False,
        "status_code_metrics": False,
        "ai_metrics": False,
        "latency_metrics": False,
        "bandwidth_metrics": False,
        "upstream_health_metrics": False,
    },
}


@pytest.mark.parametrize(
    "plugin", [Jwt(), RateLimiting(minute=100), RequestSizeLimiting(), Cors(), RequestTransformer(), Prometheus()]
)
def test_a_config_has_every_field_of_kongs_schema_with_kongs_default(plugin: Any) -> None:
    assert plugin.config() == SCHEMAS[plugin.name]


def test_the_deprecated_redis_fields_equal_those_of_redis() -> None:
    config = RateLimiting(minute=1, policy="redis", redis=Redis(host="valkey", port=6380)).config()
    assert (config["redis_host"], config["redis_port"]) == ("valkey", 6380)


def test_a_declared_config_has_neither_nulls_nor_deprecated_fields() -> None:
    declared = RateLimiting(minute=100).declared()
    assert None not in declared.values()
    assert not [field for field in declared if field.startswith("redis_")]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Jwt(claim_to_verify=("exp",)),  # type: ignore[call-arg]
        lambda: Jwt(claims_to_verify=("iat",)),  # type: ignore[arg-type]
        lambda: Jwt(maximum_expiration=3600),
        lambda: Jwt(claims_to_verify=("exp",), maximum_expiration=31536001),
        lambda: Jwt(key_claim_name=""),
        RateLimiting,
        lambda: RateLimiting(minute=0),
        lambda: RateLimiting(minute=100, hour=99),
        lambda: RateLimiting(minute=1, policy="bogus"),  # type: ignore[arg-type]
        lambda: RateLimiting(minute=1, limit_by="ipx"),  # type: ignore[arg-type]
        lambda: RateLimiting(minute=1, limit_by="header"),
        lambda: RateLimiting(minute=1, limit_by="path"),
        lambda: RateLimiting(minute=1, limit_by="path", path="/a//b"),
        lambda: RateLimiting(minute=1, policy="redis"),
        lambda: RateLimiting(minute=1, sync_rate=1),
        lambda: Redis(host="valkey:6379"),
        lambda: Redis(host="valkey", password="in plain text"),
        lambda: Cors(origins=("(",)),
        lambda: Cors(methods=("FETCH",)),  # type: ignore[arg-type]
        lambda: RequestTransformer(http_method="post"),
        lambda: RequestTransformer(remove=Names(headers=("X Token",))),
        lambda: RequestTransformer(add=Values(headers=("X-Token",))),
        lambda: RequestTransformer(add=Values(headers=("X-Token:$(os.exit())",))),
        lambda: Prometheus(status_metrics=True),  # type: ignore[call-arg]
    ],
)
def test_what_kong_would_refuse_is_refused_before(mistake: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        mistake()


def test_a_mistake_that_is_none_is_accepted() -> None:
    Jwt(claims_to_verify=("exp", "nbf"), maximum_expiration=3600)
    RateLimiting(minute=100, hour=100, limit_by="header", header_name="X-Client")
    RateLimiting(minute=1, policy="redis", redis=Redis(host="valkey", password=reference("redis")), sync_rate=0.02)
    Cors(origins=("*", r"https://.*\.example\.com"))
    RequestTransformer(add=Values(headers=("X-Token:a:b",), querystring=("a:1",)), remove=Names(body=("a b",)))


def test_a_reference_is_filled_wherever_it_stands() -> None:
    tree = {"add": [f"X-Token:{reference('service-token')}"], "n": 1, "none": None}
    assert names_in(tree) == ["service-token"]
    assert fill(tree, {"service-token": "s" * 32}) == {"add": ["X-Token:" + "s" * 32], "n": 1, "none": None}


@pytest.mark.parametrize("value", ["short", "$(os.exit())" + "x" * 32, "a:b" * 12, "x" * 32 + "\n"])
def test_a_secret_that_kong_would_read_otherwise_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValueError, match="gatewayServiceToken: expected at least 32") as refusal:
        fill(reference("service-token"), {"service-token": value})
    assert value not in str(refusal.value)


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(ValueError, match=r"found none for \['jwt-b'\]"):
        fill([reference("jwt-a"), reference("jwt-b")], {"jwt-a": "s" * 32})
