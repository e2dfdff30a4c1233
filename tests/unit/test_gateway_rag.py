"""Our gateway, its settings and its flood limit."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cli.gateway_yaml import gateway_yaml
from components.gateway import declarative
from components.gateway.node import body_env, client_address_env, flood_env
from components.gateway.plugins import (
    Cors,
    Jwt,
    OpenTelemetry,
    Plugin,
    RateLimiting,
    RequestSizeLimiting,
    RequestTransformer,
)
from components.gateway.settings import GatewaySettings
from components.services.entry import RouteEntry, ServiceEntry
from components.services.routing import gateway_of
from ops.stack import OperatorError
from policies.invariants import header_variants

CHOSEN: dict[str, Any] = {
    "backend": "database",
    "nodes": 1,
    "most_nodes": 6,
    "database_address": "",
    "database_gib": 5,
    "http_port": 8000,
    "https_port": 8443,
    "admin_port": 8001,
    "update_seconds": 1,
    "max_body_mib": 1,
    "jwt_keys": ["rag-client-1"],
    "key_claim": "kid",
    "consumers": {},
    "token_hours": 720,
    "cors_origins": ["http://localhost:3103"],
    "rate_limit_per_minute": 100,
    "rate_limit_policy": "local",
    "redis_address": "",
    "redis_timeout_ms": 5,
    "flood_per_second": 50,
    "flood_burst": 200,
    "trusted_proxies": [],
}
REFERENCE = {
    "rag-service": ServiceEntry(
        image="you/rag:1",
        port=3000,
        routes=(RouteEntry(name="rag-api", paths=("/api/v1/rag",), passes_token=False),),
    )
}
REDIS = {"rate_limit_policy": "redis", "redis_address": "valkey:6379"}
SECRETS = {name: name.ljust(32, "x") for name in ("service-token", "jwt-rag-client-1", "jwt-rag-client-2")}


def settings(**changes: object) -> GatewaySettings:
    return GatewaySettings.model_validate(CHOSEN | changes)


def plugin(kind: type[Plugin], **changes: object) -> Any:
    service = gateway_of(settings(**changes), REFERENCE).services[0]
    return next(plugin for plugin in service.plugins if isinstance(plugin, kind))


def test_a_token_comes_in_the_header_alone_and_expires() -> None:
    jwt = plugin(Jwt)
    assert (jwt.key_claim_name, jwt.claims_to_verify, jwt.header_names) == ("kid", ("exp",), ("authorization",))
    assert (jwt.uri_param_names, jwt.cookie_names) == ((), ())
    assert (jwt.maximum_expiration, plugin(Jwt, token_hours=2).maximum_expiration) == (720 * 3600, 7200)


def test_a_body_above_the_limit_is_refused_by_the_plugin_and_one_far_above_it_not_even_read() -> None:
    limit = plugin(RequestSizeLimiting, max_body_mib=3)
    assert (limit.allowed_payload_size, limit.size_unit) == (3, "megabytes")
    own = RouteEntry(paths=("/upload",), max_body_mib=20)
    entries = {**REFERENCE, "upload": ServiceEntry(image="you/upload:1", routes=(own,))}
    both = gateway_of(settings(), entries)
    assert body_env(both)["KONG_NGINX_PROXY_CLIENT_MAX_BODY_SIZE"] == "40m"
    assert body_env(gateway_of(settings(), {}))["KONG_NGINX_PROXY_CLIENT_MAX_BODY_SIZE"] == "2m"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://App.Example.COM", "https://app.example.com"),
        ("HTTP://localhost:80", "http://localhost"),
        ("https://a.b:443", "https://a.b"),
        ("http://a.b:443", "http://a.b:443"),
    ],
)
def test_an_origin_is_written_as_a_browser_sends_it(given: str, sent: str) -> None:
    assert plugin(Cors, cors_origins=[given]).origins == (sent,)
    assert RouteEntry(paths=("/x",), cors_origins=(given,)).cors_origins == (sent,)


def test_calls_are_traced_when_a_collector_is_named_and_return_their_trace() -> None:
    traced = gateway_of(settings(), REFERENCE, "http://collector:4318")
    [plugin] = [plugin for plugin in traced.plugins if isinstance(plugin, OpenTelemetry)]
    assert plugin.traces_endpoint == "http://collector:4318/v1/traces"
    assert plugin.http_response_header_for_traceid == "X-Trace-ID"
    untraced = gateway_of(settings(), REFERENCE)
    assert not [plugin for plugin in untraced.plugins if isinstance(plugin, OpenTelemetry)]


def test_the_service_sees_our_token_whatever_the_client_sends() -> None:
    headers = plugin(RequestTransformer)
    forged = {"X-Service-Token", "X_Service_Token", "X-Service_Token", "X_Service-Token"}
    assert forged <= set(headers.remove.headers)
    assert headers.add.headers == ("X-Service-Token:${SERVICE_TOKEN}",)
    assert header_variants("X") == ("X",)


def test_a_client_gets_its_share_and_the_page_may_read_how_much_is_left() -> None:
    limit, cors = plugin(RateLimiting), plugin(Cors)
    assert (limit.minute, limit.limit_by, limit.policy, limit.fault_tolerant) == (100, "ip", "local", True)
    assert cors.origins == ("http://localhost:3103",)
    assert cors.methods == ("GET", "HEAD", "POST")
    assert cors.credentials
    assert "RateLimit-Remaining" in cors.exposed_headers


def test_several_nodes_count_together() -> None:
    limit = plugin(RateLimiting, nodes=3, **REDIS)
    assert (limit.policy, limit.redis.host, limit.redis.port) == ("redis", "valkey", 6379)
    assert (limit.redis.password, limit.redis.timeout, limit.fault_tolerant) == ("${REDIS_PASSWORD}", 5, True)


def test_a_redis_that_is_named_takes_the_place_of_our_valkey() -> None:
    local, ours = settings(), settings(nodes=3, rate_limit_policy="redis")
    named = settings(nodes=3, rate_limit_policy="redis", redis_address="mine:6380")
    assert [each.counter_address for each in (local, ours, named)] == ["", "valkey:6379", "mine:6380"]
    assert [each.runs_valkey for each in (local, ours, named)] == [False, True, False]


def test_a_degraded_service_is_not_taken_out_of_use() -> None:
    checks = gateway_of(settings(), REFERENCE).services[0].upstream.healthchecks
    assert checks.active.http_path == "/health"
    assert not {429, 503} & set(checks.passive.unhealthy.http_statuses)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nodes": 3}, "would count for itself"),
        ({"rate_limit_policy": "redis", "redis_address": "valkey"}, "expected host:port"),
        ({"redis_address": "valkey:6379"}, "nothing with local"),
        ({"flood_burst": 99}, r"at least the rate limit \(100\)"),
        ({"cors_origins": ["*"]}, "without path or wildcard"),
        ({"cors_origins": ["http://localhost:3103/"]}, "without path or wildcard"),
        ({"cors_origins": []}, "at least 1 item"),
        ({"cors_origins": ["http://localhost:0"]}, "without path or wildcard"),
        ({"cors_origins": ["http://localhost:65536"]}, "without path or wildcard"),
        ({"cors_origins": ["http://-"]}, "without path or wildcard"),
        ({"token_hours": 8761}, "8760"),
        ({"max_body_mib": 65}, "64"),
        ({"jwt_keys": ["a", "a"]}, "different keys"),
        ({"jwt_keys": ["A"]}, "different keys"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, "any client could forge"),
        ({"trusted_proxies": ["haproxy"]}, "haproxy"),
        ({"backend": "hybrid"}, "'database' or 'dbless'"),
    ],
)
def test_a_choice_that_would_not_hold_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**change)


def test_a_flood_is_limited_before_any_plugin_and_refused_in_json() -> None:
    env = flood_env(settings())
    assert env["KONG_NGINX_HTTP_LIMIT_REQ_ZONE"] == "$binary_remote_addr zone=flood:10m rate=50r/s"
    assert env["KONG_NGINX_PROXY_LIMIT_REQ"] == "zone=flood burst=200 nodelay"
    assert env["KONG_NGINX_PROXY_LIMIT_REQ_STATUS"] == "429"
    assert env["KONG_NGINX_PROXY_ERROR_PAGE"] == "429 /kong_error_handler"


def test_a_forwarded_address_is_believed_from_our_own_proxies_only() -> None:
    assert client_address_env(settings()) == {}
    assert client_address_env(settings(trusted_proxies=["10.0.0.0/8", "::1"])) == {
        "KONG_TRUSTED_IPS": "10.0.0.0/8,::1",
        "KONG_REAL_IP_HEADER": "X-Forwarded-For",
        "KONG_REAL_IP_RECURSIVE": "on",
    }


def rendered(secrets: dict[str, str] | None = None, **changes: object) -> Any:
    return yaml.safe_load(declarative.render(gateway_of(settings(**changes), REFERENCE), secrets))


def test_the_declarative_form_is_of_the_same_gateway() -> None:
    document = rendered()
    (service,), (upstream,) = document["services"], document["upstreams"]
    assert document["_format_version"] == "3.0"
    assert service["host"] == upstream["name"]
    assert upstream["targets"] == [{"target": "rag-service:3000", "weight": 100}]
    assert [plugin["name"] for plugin in service["plugins"]] == [
        *("cors", "jwt", "rate-limiting", "request-transformer", "request-size-limiting")
    ]
    assert [(route["paths"], route["strip_path"]) for route in service["routes"]] == [(["/api/v1/rag"], False)]
    assert document["plugins"][0]["config"]["upstream_health_metrics"] is True


def test_without_secrets_it_can_be_published() -> None:
    credential = rendered()["consumers"][0]["jwt_secrets"][0]
    assert credential == {"key": "rag-client-1", "secret": "${JWT_RAG_CLIENT_1}", "algorithm": "HS256"}


def test_with_secrets_no_reference_is_left() -> None:
    gateway = gateway_of(settings(), REFERENCE)
    text = declarative.render(gateway, SECRETS)
    assert "${" not in text
    assert f"X-Service-Token:{SECRETS['service-token']}" in text
    with pytest.raises(ValueError, match="service-token"):
        declarative.render(gateway, {})


def test_two_keys_are_valid_while_one_replaces_the_other() -> None:
    (consumer,) = rendered(SECRETS, jwt_keys=["rag-client-2", "rag-client-1"])["consumers"]
    assert [credential["key"] for credential in consumer["jwt_secrets"]] == ["rag-client-2", "rag-client-1"]
    assert len({credential["secret"] for credential in consumer["jwt_secrets"]}) == 2


def test_counting_in_a_database_that_is_not_there_is_refused() -> None:
    gateway = gateway_of(settings(), REFERENCE)
    (service,) = gateway.services
    clustered = tuple(
        RateLimiting(minute=1, policy="cluster") if isinstance(plugin, RateLimiting) else plugin
        for plugin in service.plugins
    )
    with pytest.raises(ValueError, match="found 'cluster'"):
        declarative.render(
            gateway.model_copy(update={"services": (service.model_copy(update={"plugins": clustered}),)})
        )


def test_the_stack_files_gateway_can_be_printed_without_an_engine() -> None:
    document = yaml.safe_load(gateway_yaml("dev"))
    assert document["services"][0]["routes"][0]["paths"] == ["/api/v1/rag"]
    with pytest.raises(OperatorError, match=r"a stack file Pulumi\.no-such-stack\.yaml, found none"):
        gateway_yaml("no-such-stack")
