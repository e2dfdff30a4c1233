"""The stand-in for Kong is harsh where Kong is: late guards, unique names, its own words, breakers that stay open."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.kong import declarative, server
from sandbox.kong.admin import Admin
from sandbox.kong.entities import RefusedError, remove, shown, write
from sandbox.kong.flood import Flood
from sandbox.kong.health import Peer
from sandbox.kong.names import Resolver
from sandbox.kong.node import Node
from sandbox.kong.proxy import Proxy
from sandbox.kong.router import Router, normal, upstream_path
from sandbox.kong.status import Status
from sandbox.kong.store import Memory
from sandbox.kong.wire import Client, Request, Response, Server, UnreachableError, first
from sandbox.polling import poll
from sandbox.tests.product import admin_guard, gateway_yaml, plugin_configs

GATEWAY = """
_format_version: "3.0"
services:
- name: search
  host: pool
  retries: 2
  plugins: [PLUGINS]
  routes:
  - {name: api, paths: [/api], strip_path: false}
upstreams:
- name: pool
  targets: [{target: "10.0.0.1:80"}, {target: "10.0.0.2:80"}]
  healthchecks: {passive: {unhealthy: {http_failures: 2, tcp_failures: 2}}}
consumers:
- username: reader
  jwt_secrets: [{key: k1, secret: SECRET, algorithm: HS256}]
"""
SECRET = "a-secret-of-sixty-four-bytes-and-more-because-one-token-is-in-hs512"
JWT = "{name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp], uri_param_names: []}}"
LIMIT = "{name: rate-limiting, config: {minute: 3, limit_by: ip}}"
METRICS = (
    "{name: prometheus, config: {status_code_metrics: true, latency_metrics: true, upstream_health_metrics: true}}"
)


class Upstream(Client):
    """Every address answers as `answers` has it; requests are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Request]] = []
        self.answers: Callable[[str], int | UnreachableError] = lambda ip: 200

    async def fetch(
        self, ip: str, port: int, request: Request, connect: float, read: float, *, in_parts: bool = False
    ) -> Response:
        assert not in_parts
        self.asked.append((ip, request))
        await asyncio.sleep(0)  # others get their turn while an answer is on its way
        answer = self.answers(ip)
        if isinstance(answer, UnreachableError):
            raise answer
        return Response(answer, [("Content-Type", "text/plain")], b"found")


class Gateway:
    """A node with GATEWAY's entities, called in this process."""

    def __init__(self, plugins: str, more: str = "") -> None:
        text = GATEWAY.replace("PLUGINS", plugins).replace("SECRET", SECRET) + more.strip("\n")
        self.store = asyncio.run(declarative.parse(text))
        self.upstream = Upstream()

    def play(self, scene: Callable[["Gateway"], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            self.node = Node(self.store)
            self.node.client = self.upstream
            self.proxy = Proxy(self.node)
            await self.node.start()
            await scene(self)

        asyncio.run(whole())

    async def get(
        self, *headers: tuple[str, str], path: str = "/api/x", method: str = "GET", peer: str = "192.0.2.1"
    ) -> Response:
        return await self.proxy(Request(method, path, [("Host", "gateway"), *headers], b"", peer, 8000))


def token(key: str = "k1", secret: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> tuple[str, str]:
    claims = {"exp": time.time() + 60} | claims
    return "Authorization", "Bearer " + jwt.encode(claims, secret, algorithm, headers={"kid": key})


def message_of(response: Response) -> Any:
    return json.loads(response.body)


# What may be written


COLLECTOR = "http://collector:4318/v1/traces"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("jwt", {}),
        ("acl", {"allow": ["staff"]}),
        ("rate-limiting", {"minute": 1}),
        ("cors", {}),
        ("request-transformer", {}),
        ("prometheus", {}),
        ("opentelemetry", {"traces_endpoint": COLLECTOR}),
    ],
)
def test_a_plugin_is_shown_with_every_field_that_the_typed_plugins_have(name: str, given: dict[str, Any]) -> None:
    row = asyncio.run(write(Memory(), "plugins", {"name": name, "config": given}))
    assert json.loads(json.dumps(shown("plugins", row)["config"])) == plugin_configs(COLLECTOR)[name]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("plugins", {"name": "jwtx"},
         "name: plugin 'jwtx' not enabled; add it to the 'plugins' configuration property"),
        ("plugins", {"name": "rate-limiting", "config": {"minute": 1, "policy": "bogus"}},
         "config.policy: expected one of: local, cluster, redis"),
        ("plugins", {"name": "rate-limiting", "config": {"minute": 1, "burst": 2}}, "config.burst: unknown field"),
        ("plugins", {"name": "rate-limiting", "config": {"minute": 9, "hour": 1}},
         "config: The limit for hour(1.0) cannot be lower than the limit for minute(9.0)"),
        ("plugins", {"name": "rate-limiting", "config": {"minute": 1, "redis_port": 1, "redis": {"port": 2}}},
         "both deprecated and new field are used but their values mismatch: redis_port = 1 vs redis.port = 2"),
        ("routes", {"paths": ["api"]}, "paths.1: should start with: / (fixed path) or ~/ (regex path)"),
        ("routes", {}, "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"),
        ("services", {"host": "h", "retries": 1.5, "port": 70000},
         "2 schema violations (port: value should be between 0 and 65535; retries: expected an integer)"),
        ("consumers", {"username": ""}, "username: length must be at least 1"),
        ("upstreams", {}, "name: required field missing"),
    ],
)  # fmt: skip
def test_an_invalid_entity_is_refused_in_kongs_words(kind: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        asyncio.run(write(Memory(), kind, given))
    status, body = refused.value.args
    assert status == 400
    assert body["name"] == "schema violation"
    assert message in body["message"]


async def _with_service() -> tuple[Memory, dict[str, Any]]:
    store = Memory()
    return store, await write(store, "services", {"name": "s", "host": "h", "retries": 1})


def test_a_name_is_taken_once() -> None:
    async def scene() -> None:
        store, service = await _with_service()
        await write(store, "plugins", {"name": "cors", "service": {"id": service["id"]}})
        for kind, duplicate in (
            ("services", {"name": "s", "host": "h"}),
            ("plugins", {"name": "cors", "service": {"name": "s"}}),
        ):
            with pytest.raises(RefusedError) as refused:
                await write(store, kind, duplicate)
            assert refused.value.args[0] == 409
        service_ = f'service={{id="{service["id"]}"}}'
        message = f"UNIQUE violation detected on '{{consumer=null,name=\"cors\",route=null,{service_}}}'"
        assert refused.value.args[1]["message"] == message
        await write(store, "plugins", {"name": "cors"})  # of everything else: another one

    asyncio.run(scene())


def test_a_patch_merges_records_and_unsets_only_what_is_null() -> None:
    async def scene() -> None:
        store = Memory()
        given = {"minute": 5, "hour": 50, "redis": {"host": "r"}}
        row = await write(store, "plugins", {"name": "rate-limiting", "config": given})
        row = await write(store, "plugins", {"config": {"hour": None, "redis": {"port": 1}}}, row)
        assert (row["config"]["minute"], row["config"]["hour"]) == (5, None)
        assert (row["config"]["redis"]["host"], row["config"]["redis"]["port"]) == ("r", 1)

    asyncio.run(scene())


def test_a_service_stays_while_a_route_needs_it_and_takes_its_plugins_along() -> None:
    async def scene() -> None:
        store, service = await _with_service()
        route = await write(store, "routes", {"paths": ["/"], "service": {"name": "s"}})
        await write(store, "plugins", {"name": "cors", "route": {"id": route["id"]}})
        with pytest.raises(RefusedError, match="an existing 'routes' entity references this 'services' entity"):
            await remove(store, "services", service)
        await remove(store, "routes", route)
        assert await store.rows("plugins") == []
        await remove(store, "services", service)

    asyncio.run(scene())


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(RefusedError, match="does not reference an existing"):
        asyncio.run(write(Memory(), "routes", {"paths": ["/"], "service": {"id": "0"}}))


def test_each_mistake_of_a_declarative_file_is_reported_with_its_path() -> None:
    wrong = GATEWAY.replace("PLUGINS", LIMIT.replace("ip", "ipx")).replace("retries: 2", "retrys: 2")
    with pytest.raises(declarative.InvalidError) as invalid:
        asyncio.run(declarative.parse(wrong))
    assert "- in entry 1 of 'services':" in str(invalid.value)
    assert "in 'retrys': unknown field" in str(invalid.value)
    wrong = GATEWAY.replace("PLUGINS", LIMIT.replace("ip}", "ipx}"))
    with pytest.raises(declarative.InvalidError, match="in 'limit_by': expected one of: consumer, credential, ip"):
        asyncio.run(declarative.parse(wrong))


def test_the_gateway_of_the_dev_stack_is_accepted() -> None:
    store = asyncio.run(declarative.parse(gateway_yaml("dev")))
    plugins = {row["name"] for row in asyncio.run(store.rows("plugins"))}
    limits = {"rate-limiting", "request-size-limiting"}
    assert plugins == limits | {"cors", "jwt", "request-transformer", "prometheus"}
    assert asyncio.run(store.rows("targets"))


@pytest.mark.parametrize(("counted", "used"), [(None, False), (2, True)])
def test_a_target_of_our_stack_that_leaves_is_out_of_use_while_it_still_answers_calls(
    counted: int | None, used: bool
) -> None:
    """As in Kong, an answered call undoes the failed checks before it, where answered calls count."""
    [upstream] = asyncio.run(asyncio.run(declarative.parse(gateway_yaml("dev"))).rows("upstreams"))
    checks = upstream["healthchecks"]
    if counted:
        checks["passive"]["healthy"]["successes"] = counted
    target = Peer("rag-service", "10.0.0.1", 3000)
    for _ in range(3):
        target.saw_status(503, checks["active"])
        for _ in range(4):
            target.saw_status(200, checks["passive"])
    assert target.healthy == used


# Whose trace


TRACED = (
    "{name: opentelemetry, config: {traces_endpoint: 'http://10.9.9.9:4318/v1/traces',"
    " http_response_header_for_traceid: X-Trace-ID}}"
)


def test_a_call_continues_its_callers_trace_and_sends_a_span() -> None:
    async def scene(gateway: Gateway) -> None:
        trace = "0af7651916cd43dd8448eb211c80319c"
        answer = await gateway.get(("traceparent", f"00-{trace}-b7ad6b7169203331-01"))
        assert first(answer.headers, "x-trace-id") == trace
        while len(gateway.upstream.asked) < 2:
            await asyncio.sleep(0)
        (_, forwarded), (collector, sent) = gateway.upstream.asked
        [span] = json.loads(sent.body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert (collector, span["traceId"], span["parentSpanId"]) == ("10.9.9.9", trace, "b7ad6b7169203331")
        assert first(forwarded.headers, "traceparent") == f"00-{trace}-{span['spanId']}-01"

    Gateway(TRACED).play(scene)


def test_a_call_without_a_trace_begins_one() -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await gateway.get()
        _, forwarded = gateway.upstream.asked[0]
        assert first(answer.headers, "x-trace-id") in first(forwarded.headers, "traceparent")

    Gateway(TRACED).play(scene)


# Which route, which path


def _route(path: str, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = dict.fromkeys(("methods", "hosts", "headers", "snis"))
    service = {"id": "s", "path": more.pop("base", None), "enabled": True}
    return (
        plain | {"paths": [path], "service": service, "regex_priority": 0, "created_at": 0, "strip_path": True} | more
    )


def test_the_most_particular_route_answers() -> None:
    routes = [
        _route("/"),
        _route("/api"),
        _route("/api", methods=["POST"]),
        _route("~/api/\\d+$"),
        _route("/", hosts=["*.b"]),
    ]
    router = Router(routes, [routes[0]["service"]])

    def found(method: str, path: str, host: str = "a") -> dict[str, Any]:
        match = router.match(Request(method, path, [("Host", host)]), path)
        assert match
        return match.route

    assert found("GET", "/api/x") is routes[1]
    assert found("POST", "/api/x") is routes[2]
    assert found("GET", "/api/12") is routes[3]
    assert found("GET", "/other") is routes[0]
    assert found("GET", "/api", host="x.b:8000") is routes[4]


@pytest.mark.parametrize(
    ("base", "strip", "asked", "upstream"),
    [
        (None, True, "/api", "/"), (None, True, "/api/x", "/x"), (None, False, "/api/x", "/api/x"),
        ("/v1", True, "/api", "/v1"), ("/v1", True, "/api/", "/v1/"), ("/v1/", True, "/api/x", "/v1/x"),
        ("/v1", False, "/api", "/v1/api"),
    ],
)  # fmt: skip
def test_paths_are_joined_as_kong_joins_them(base: str | None, strip: bool, asked: str, upstream: str) -> None:
    route = _route("/api", base=base, strip_path=strip)
    match = Router([route], [route["service"]]).match(Request("GET", asked, []), asked)
    assert match
    assert upstream_path(match, asked) == upstream


def test_no_detour_leads_around_a_route() -> None:
    assert normal("/api/../admin//x/") == "/admin/x/"
    assert normal("/api/x") == "/api/x"


# What plugins do


def test_a_new_route_can_be_open_before_its_guard_is_known() -> None:
    async def scene(gateway: Gateway) -> None:
        plugins, gateway.node.plugins = gateway.node.plugins, {}  # the clock of the plugins has not struck yet
        assert (await gateway.get()).status == 200
        gateway.node.plugins = plugins
        assert (await gateway.get()).status == 401

    Gateway(JWT).play(scene)


def test_routes_and_plugins_are_learned_of_in_their_own_time() -> None:
    async def scene(gateway: Gateway) -> None:
        await write(gateway.store, "plugins", {"name": "cors"})
        await write(gateway.store, "routes", {"paths": ["/new"], "service": {"name": "search"}})
        await gateway.node.learn_routes()
        assert (await gateway.get(path="/new")).status == 200
        assert not first((await gateway.get(path="/new")).headers, "access-control-allow-origin")
        await gateway.node.learn_plugins()
        assert first((await gateway.get(path="/new")).headers, "access-control-allow-origin") == "*"

    Gateway("").play(scene)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ([], {"message": "Unauthorized"}),
        ([token(exp=1)], {"exp": "token expired"}),
        ([token(exp="soon")], {"exp": "must be a number"}),
        ([token(key="k2")], {"message": "No credentials found for given 'kid'"}),
        ([token(secret=SECRET[::-1])], {"message": "Invalid signature"}),
        ([token(algorithm="HS512")], {"message": "Invalid algorithm"}),
        ([token(secret="", algorithm="none")], {"message": "Bad token; invalid alg"}),
        ([("Authorization", "Bearer x.y.z")], {"message": "Bad token; invalid JSON"}),
        (
            [("Authorization", "Bearer " + jwt.encode({"exp": 2e9}, SECRET))],
            {"message": "No mandatory 'kid' in claims"},
        ),
    ],
)
def test_an_invalid_token_is_refused_in_kongs_words(sent: list[tuple[str, str]], answer: dict[str, str]) -> None:
    async def scene(gateway: Gateway) -> None:
        response = await gateway.get(*sent)
        assert (response.status, message_of(response)) == (401, answer)
        wanted = 'Bearer error="invalid_token"' if sent else "Bearer"
        assert first(response.headers, "www-authenticate") == wanted
        assert not gateway.upstream.asked

    Gateway(JWT).play(scene)


def test_a_valid_token_passes_and_the_upstream_gets_its_consumer() -> None:
    async def scene(gateway: Gateway) -> None:
        response = await gateway.get(token(), ("X-Consumer-Username", "forged"))
        assert response.status == 200
        assert first(response.headers, "via") == "1.1 kong/3.9.3"
        [(_, asked)] = gateway.upstream.asked
        forwarded = [value for name, value in asked.headers if name.lower() == "x-consumer-username"]
        assert (forwarded, first(asked.headers, "x-credential-identifier")) == (["reader"], "k1")
        assert first(asked.headers, "x-kong-request-id") == first(response.headers, "x-kong-request-id")

    Gateway(JWT).play(scene)


def test_a_token_in_the_query_counts_only_where_it_is_asked_for() -> None:
    async def scene(gateway: Gateway) -> None:
        path = f"/api/x?jwt={token()[1].removeprefix('Bearer ')}"
        assert (await gateway.get(path=path)).status == (401 if "uri_param_names" in plugins else 200)

    for plugins in (JWT, JWT.replace(", uri_param_names: []", "")):
        Gateway(plugins).play(scene)


def test_one_call_too_many_is_refused_until_the_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(gateway: Gateway) -> None:
        monkeypatch.setattr(time, "time", lambda: 600.0 + 20)
        passed = [await gateway.get() for _ in range(3)]
        assert [first(response.headers, "ratelimit-remaining") for response in passed] == ["2", "1", "0"]
        refused = await gateway.get()
        assert refused.status == 429
        assert message_of(refused).keys() == {"message", "request_id"}
        assert (first(refused.headers, "retry-after"), first(refused.headers, "x-ratelimit-limit-minute")) == (
            "40",
            "3",
        )
        assert (await gateway.get(peer="192.0.2.2")).status == 200
        monkeypatch.setattr(time, "time", lambda: 660.0)
        assert (await gateway.get()).status == 200

    Gateway(LIMIT).play(scene)


def test_calls_at_the_same_time_pass_the_limit_together() -> None:
    async def scene(gateway: Gateway) -> None:
        together = await asyncio.gather(*(gateway.get() for _ in range(9)))
        assert sum(response.status == 200 for response in together) > 3

    Gateway(LIMIT).play(scene)


def test_a_flood_without_tokens_is_never_limited_by_the_plugin() -> None:
    async def scene(gateway: Gateway) -> None:
        assert {(await gateway.get()).status for _ in range(9)} == {401}

    Gateway(f"{LIMIT}, {JWT}").play(scene)


@pytest.mark.parametrize("worded_by", ["nginx", "kong"])
def test_a_flood_is_limited_by_nginx_before_any_plugin(monkeypatch: pytest.MonkeyPatch, worded_by: str) -> None:
    monkeypatch.setenv("KONG_NGINX_HTTP_LIMIT_REQ_ZONE", "$binary_remote_addr zone=flood:10m rate=10r/s")
    monkeypatch.setenv("KONG_NGINX_PROXY_LIMIT_REQ", "zone=flood burst=5 nodelay")
    monkeypatch.setenv("KONG_NGINX_PROXY_LIMIT_REQ_STATUS", "429")
    if worded_by == "kong":
        monkeypatch.setenv("KONG_NGINX_PROXY_ERROR_PAGE", "429 /kong_error_handler")

    async def scene(gateway: Gateway) -> None:
        monkeypatch.setattr("sandbox.kong.flood.time", SimpleNamespace(monotonic=lambda: 100.0))
        assert [(await gateway.get()).status for _ in range(6)] == [401] * 6
        refused = await gateway.get(("Origin", "https://a.b"))
        assert refused.status == 429
        assert not first(refused.headers, "access-control-allow-origin")
        if worded_by == "kong":
            assert message_of(refused)["message"] == "The upstream server responded with 429"
        else:
            assert refused.body.startswith(b"<html>")
        monkeypatch.setattr("sandbox.kong.flood.time", SimpleNamespace(monotonic=lambda: 100.2))
        assert (await gateway.get()).status == 401

    Gateway(f"{JWT}, {{name: cors}}").play(scene)


def test_without_a_zone_nothing_is_a_flood() -> None:
    flood = Flood()
    assert not any(flood.refuses("192.0.2.1") for _ in range(999))


def test_the_client_is_the_one_a_trusted_proxy_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONG_TRUSTED_IPS", "10.0.0.0/8")
    monkeypatch.setenv("KONG_REAL_IP_HEADER", "X-Forwarded-For")
    monkeypatch.setenv("KONG_REAL_IP_RECURSIVE", "on")
    forged = ("X-Forwarded-For", "203.0.113.9, 198.51.100.7, 10.1.1.1")

    async def scene(gateway: Gateway) -> None:
        await gateway.get(forged, ("X-Forwarded-Proto", "https"), peer="10.2.2.2")
        await gateway.get(forged, ("X-Forwarded-Proto", "https"), peer="192.0.2.66")
        seen = [request.headers for _, request in gateway.upstream.asked]
        assert [first(headers, "x-real-ip") for headers in seen] == ["198.51.100.7", "192.0.2.66"]
        assert [first(headers, "x-forwarded-proto") for headers in seen] == ["https", "http"]
        assert first(seen[1], "x-forwarded-for") == f"{forged[1]}, 192.0.2.66"

    Gateway("").play(scene)


def test_add_alone_lets_a_forged_header_win_and_remove_before_it_does_not() -> None:
    add = "add: {headers: ['X-Service-Token:ours']}"
    forged = (("x-service-token", "forged"), ("X-Service-Token", "again"), ("X_Service_Token", "below"))

    async def scene(gateway: Gateway) -> None:
        await gateway.get(*forged)
        arrived.append([value for name, value in gateway.upstream.asked[0][1].headers if "ervice" in name])

    arrived: list[list[str]] = []
    Gateway(f"{{name: request-transformer, config: {{{add}}}}}").play(scene)
    Gateway(f"{{name: request-transformer, config: {{remove: {{headers: [X-Service-Token]}}, {add}}}}}").play(scene)
    assert arrived == [["forged", "again", "below"], ["below", "ours"]]


def test_a_template_in_a_value_is_evaluated_and_may_spoil_every_call() -> None:
    async def scene(gateway: Gateway) -> None:
        statuses.append((await gateway.get(("X-Old", "1"))).status)

    statuses: list[int] = []
    for value in ("$(headers.X-Old)", "a$(b)c"):
        Gateway(f"{{name: request-transformer, config: {{add: {{headers: ['X-New:{value}']}}}}}}").play(scene)
    assert statuses == [200, 500]


def test_a_preflight_is_answered_before_the_token_is_asked_for() -> None:
    async def scene(gateway: Gateway) -> None:
        asks = [("Origin", "https://evil"), ("Access-Control-Request-Method", "POST")]
        preflight = await gateway.get(*asks, method="OPTIONS")
        assert (preflight.status, first(preflight.headers, "access-control-allow-origin")) == (200, "https://a.b")
        assert (await gateway.get(asks[0], method="OPTIONS")).status == 401
        refused = await gateway.get(asks[0])
        assert (refused.status, first(refused.headers, "access-control-allow-origin")) == (401, "https://a.b")

    Gateway(f"{JWT}, {{name: cors, config: {{origins: ['https://a.b']}}}}").play(scene)


def test_of_several_origins_only_one_that_is_allowed_is_named() -> None:
    async def scene(gateway: Gateway) -> None:
        for origin, named in (("https://a.b", "https://a.b"), ("https://x.c.d", "https://x.c.d"), ("https://evil", "")):
            response = await gateway.get(("Origin", origin))
            assert first(response.headers, "access-control-allow-origin") == named

    Gateway("{name: cors, config: {origins: ['https://a.b', '.*[.]c[.]d']}}").play(scene)


# Which address is called


def test_a_dead_address_is_gone_round_and_a_post_is_not_sent_twice() -> None:
    async def scene(gateway: Gateway) -> None:
        refused, lost = UnreachableError(False, False), UnreachableError(True, False)
        gateway.upstream.answers = lambda ip: refused if ip == "10.0.0.1" else 200
        assert {(await gateway.get(method=method)).status for method in ("GET", "POST") for _ in "12"} == {200}
        gateway.upstream.asked.clear()
        gateway.upstream.answers = lambda ip: lost
        assert (await gateway.get(method="POST")).status == 502
        assert len(gateway.upstream.asked) == 1

    Gateway("").play(scene)


def test_a_passive_breaker_opens_and_never_closes_by_itself() -> None:
    async def scene(gateway: Gateway) -> None:
        gateway.upstream.answers = lambda ip: 500
        assert [(await gateway.get()).status for _ in range(4)] == [500] * 4
        gateway.upstream.answers = lambda ip: 200
        refused = await gateway.get()
        assert (refused.status, message_of(refused)["message"]) == (503, "failure to get a peer from the ring-balancer")
        admin = Admin(gateway.node)
        await admin(Request("PUT", "/upstreams/pool/targets/10.0.0.1:80/healthy", []))
        assert (await gateway.get()).status == 200
        health = message_of(await admin(Request("GET", "/upstreams/pool/health", [])))["data"]
        assert [target["health"] for target in health] == ["HEALTHY", "UNHEALTHY"]

    Gateway("").play(scene)


def test_an_observation_without_a_limit_does_not_count() -> None:
    limits = {"healthy": {"successes": 0}, "unhealthy": {"http_failures": 2, "timeouts": 0}}
    peer = Peer("h", "10.0.0.1", 80)
    for what in ("timeouts", "timeouts", "http_failures", "successes"):
        peer.saw(what, limits)
    assert peer.healthy
    peer.saw("http_failures", limits)
    assert not peer.healthy


def test_a_name_that_does_not_resolve_is_a_dns_error() -> None:
    async def scene(gateway: Gateway) -> None:
        [target] = (await gateway.store.rows("targets"))[:1]
        await write(gateway.store, "targets", {"target": "nowhere.invalid:80"}, target)
        await gateway.node.changed("targets")
        health = message_of(await Admin(gateway.node)(Request("GET", "/upstreams/pool/health", [])))["data"]
        assert "DNS_ERROR" in [target["health"] for target in health]
        assert (await gateway.get()).status == 200  # the other target

    Gateway("").play(scene)


def test_a_name_that_stops_resolving_keeps_its_address_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.9", 0))]
    now = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("sandbox.kong.names.time", now)
    monkeypatch.setenv("KONG_DNS_VALID_TTL", "5")
    monkeypatch.setenv("KONG_DNS_STALE_TTL", "5")

    async def scene() -> None:
        resolver = Resolver()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: known)
        assert await resolver.addresses("there") == ["10.0.0.9"]
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=OSError))
        for seconds, addresses in ((4, ["10.0.0.9"]), (6, ["10.0.0.9"]), (11, [])):
            now.monotonic = lambda seconds=seconds: seconds
            assert await resolver.addresses("there") == addresses

    asyncio.run(scene())


# What is counted


def test_nothing_is_counted_that_was_not_asked_for() -> None:
    async def scene(gateway: Gateway) -> None:
        async def counted() -> set[str]:
            text = (await Status(gateway.node)(Request("GET", "/metrics", []))).body.decode()
            return set(re.findall("^(kong_[a-z_]+)", text, re.MULTILINE))

        before = await counted()
        assert {"kong_datastore_reachable", "kong_node_info", "kong_nginx_connections_total"} <= before
        assert not any(part in name for name in before for part in ("http_requests", "latency", "target"))
        await gateway.get()
        await gateway.get(path="/nowhere")  # matches no route: not counted
        new = {"kong_http_requests_total", "kong_upstream_target_health"}
        new |= {f"kong_{clock}_latency_ms_{part}" for clock in ("request", "kong", "upstream")
                for part in ("bucket", "count", "sum")}  # fmt: skip
        assert await counted() - before == new
        text = (await Status(gateway.node)(Request("GET", "/metrics", []))).body.decode()
        labels = 'service="search",route="api",code="200",source="service",workspace="default",consumer=""'
        assert f"kong_http_requests_total{{{labels}}} 1" in text
        assert 'upstream="pool",target="10.0.0.1:80",address="10.0.0.1:80",state="healthy",subsystem="http"} 1' in text
        assert 'le="400"' in text
        assert 'le="500"' in text  # of Kong's own latency; upstreams have none at 500
        assert not re.search('kong_upstream_latency_ms_bucket.*le="500"', text)

    Gateway(METRICS).play(scene)


# Without a database


def test_without_a_database_nothing_can_be_written() -> None:
    async def scene(gateway: Gateway) -> None:
        admin = Admin(gateway.node)
        refused = await admin(Request("POST", "/services", [], b'{"host": "h"}'))
        assert refused.status == 405
        assert message_of(refused)["message"] == "cannot create 'services' entities when not using a database"
        listed = message_of(await admin(Request("GET", "/services/search/plugins?size=1", [])))
        assert (len(listed["data"]), listed["next"]) == (1, "/services/search/plugins?offset=1")
        assert (await admin(Request("GET", "/plugins/none", []))).status == 404

    Gateway(f"{JWT}, {LIMIT}").play(scene)


def test_a_fault_is_one_calls_answer_and_not_the_end_of_its_connection() -> None:
    async def fails_once(request: Request) -> Response:
        if request.target == "/bad":
            raise ValueError("a fault")
        return Response(200, [], request.body)

    async def scene() -> None:
        listener = await asyncio.start_server(Server(fails_once).connected, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        accepted, client = Server.accepted, Client()
        for target, status in (("/bad", 500), ("/good", 200)):
            request = Request("POST", target, [("Host", "h")], b"body")
            assert (await client.fetch("127.0.0.1", port, request, 1, 1)).status == status
        assert Server.accepted == accepted + 1
        listener.close()
        with pytest.raises(UnreachableError) as unreachable:
            await Client().fetch("127.0.0.1", _free_port(), request, 1, 1)
        assert not unreachable.value.sent

    asyncio.run(scene())


# The process, with a real PostgreSQL and a real upstream

BINARIES = Path("/usr/lib/postgresql/15/bin")


class Postgres:
    """A server of its own in a temporary directory."""

    def __init__(self) -> None:
        self.port, self.folder = _free_port(), Path(tempfile.mkdtemp(prefix="kong-pg-"))
        self.user = 65534 if os.geteuid() == 0 else os.geteuid()  # PostgreSQL does not run as root
        os.chown(self.folder, self.user, -1)
        self._run("initdb", "-D", "data", "-U", "kong", "--auth=trust", "--no-sync", "--no-locale").wait()
        self.start()

    def start(self) -> None:
        options = ["-D", "data", "-p", str(self.port), "-k", str(self.folder), "-c", "fsync=off"]
        self.process = self._run("postgres", *options, "-c", "listen_addresses=127.0.0.1")
        _wait_for(lambda: _listens(self.port), self.process)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [BINARIES / program, *words], cwd=self.folder, user=self.user, stdout=log, stderr=log
            )


class Kong:
    """The stand-in's command line, and what it serves."""

    def __init__(self, settings: dict[str, str]) -> None:
        ports = [_free_port() for _ in range(4)]
        self.proxy, self.tls, self.admin, self.status = (f"http://127.0.0.1:{port}" for port in ports)
        self.tls = self.tls.replace("http", "https")
        listen = {
            "PROXY_LISTEN": f"127.0.0.1:{ports[0]} reuseport, 127.0.0.1:{ports[1]} http2 ssl",
            "ADMIN_LISTEN": f"127.0.0.1:{ports[2]}",
            "STATUS_LISTEN": f"127.0.0.1:{ports[3]}",
            "WORKER_STATE_UPDATE_FREQUENCY": "0.2",
        }
        self.env = {f"KONG_{name}": value for name, value in (listen | settings).items()}

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.kong.server", "docker-start"], env=os.environ | self.env
        )
        _wait_for(lambda: self.ready()[0] == 200, self.process)

    def ready(self) -> tuple[int, str]:
        try:
            response = requests.get(f"{self.status}/status/ready", timeout=60)
        except requests.ConnectionError:
            return 0, ""
        return response.status_code, response.json()["message"]

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.admin}/{path}", json=body, timeout=60)

    def get(self, path: str = "/api", **more: Any) -> requests.Response:
        return requests.get(self.proxy + path, timeout=60, **more)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


@pytest.mark.anyio
async def test_an_answer_without_buffering_passes_part_by_part() -> None:
    """The next part is written only when the one before it has arrived."""
    arrived = asyncio.Event()

    async def events(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await arrived.wait()
        writer.write(b"data: 2\n\n")
        writer.close()

    async with await asyncio.start_server(events, "127.0.0.1", 0) as upstream:
        request = Request("GET", "/", [("Host", "x")])
        port = upstream.sockets[0].getsockname()[1]
        response = await Client().fetch("127.0.0.1", port, request, 1, 1, in_parts=True)
        assert response.parts
        assert await anext(response.parts) == b"data: 1\n\n"
        arrived.set()
        assert [part async for part in response.parts] == [b"data: 2\n\n"]


class Echo(BaseHTTPRequestHandler):
    """Returns the request it got, in chunks; /health as its server's `healthy` is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        content = json.dumps({"path": self.path, "headers": self.headers.items(), "body": body}).encode()
        self.send_response(200 if getattr(self.server, "healthy", True) else 500)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))

    do_POST = do_HEAD = do_GET  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None:
        pass


# Too early, nowhere, for the first time, again.
COMMANDS = ("docker-start", "health", "migrations bootstrap", "migrations bootstrap")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    def met() -> bool:
        assert process.poll() is None, f"the process ended with {process.returncode}"
        return condition()

    poll(met, seconds, lambda: AssertionError(f"the condition was not met within {seconds:.0f} s"), every=0.03)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if not BINARIES.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"PostgreSQL 15 was expected in {BINARIES}; install Debian's postgresql-15")
    database = Postgres()
    yield database
    database.stop()
    shutil.rmtree(database.folder)


@pytest.fixture(scope="module")
def echo() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        yield upstream
        upstream.shutdown()


@pytest.fixture(scope="module")
def kong(postgres: Postgres, echo: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kong]:
    password = tmp_path_factory.mktemp("kong") / "password"
    password.write_text("any\n")
    where = {"PG_HOST": "127.0.0.1", "PG_PORT": str(postgres.port), "PG_USER": "kong", "PG_DATABASE": "postgres"}
    kong = Kong(where | {"PG_PASSWORD_FILE": str(password)})
    with pytest.MonkeyPatch.context() as environment:
        for name, value in kong.env.items():
            environment.setenv(name, value)
        assert [server.main(words.split()) for words in COMMANDS] == [1, 1, 0, 0]
    kong.start()
    checks = {
        "http_path": "/health",
        "healthy": {"interval": 0.1, "successes": 2},
        "unhealthy": {"interval": 0.1, "http_failures": 2},
    }
    kong.post("upstreams", {"name": "pool", "healthchecks": {"active": checks}})
    kong.post("upstreams/pool/targets", {"target": f"localhost:{echo.server_port}"})
    kong.post("services", {"name": "search", "host": "pool"})
    for plugin in (
        {"name": "jwt", "config": {"key_claim_name": "kid"}},
        {"name": "rate-limiting", "config": {"minute": 500}},
    ):
        kong.post("services/search/plugins", plugin)
    kong.post("consumers", {"username": "reader"})
    kong.post("consumers/reader/jwt", {"key": "k1", "secret": SECRET, "rsa_public_key": "x", "algorithm": "HS256"})
    kong.post("routes", {"name": "api", "paths": ["/api"], "service": {"name": "search"}, "strip_path": False})
    _wait_for(lambda: kong.get().status_code == 401, kong.process)
    _wait_for(lambda: "X-RateLimit-Limit-Minute" in kong.get(headers=dict([token()])).headers, kong.process)
    yield kong
    kong.stop()


def test_the_admin_api_keeps_what_it_is_given(kong: Kong) -> None:
    duplicate = kong.post("services", {"name": "search", "host": "pool"})
    assert (duplicate.status_code, duplicate.json()["code"]) == (409, 5)
    assert kong.post("consumers/reader/jwt", {"key": "k1"}).status_code == 409
    [plugin] = [row for row in requests.get(f"{kong.admin}/plugins", timeout=60).json()["data"] if row["name"] == "jwt"]
    url = f"{kong.admin}/plugins/{plugin['id']}"
    assert requests.patch(url, json={"config": {"realm": "r"}}, timeout=60).json()["config"]["key_claim_name"] == "kid"
    assert requests.patch(url, json={"config": {"realm": None}}, timeout=60).json() | {"updated_at": 0} == plugin | {
        "updated_at": 0
    }
    assert requests.delete(f"{kong.admin}/routes/none", timeout=60).status_code == 204
    assert requests.get(f"{kong.admin}/routes/none", timeout=60).status_code == 404
    assert requests.delete(f"{kong.admin}/services/search", timeout=60).status_code == 400


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_call_goes_through_and_its_answer_comes_back_complete(kong: Kong) -> None:
    answer = requests.post(f"{kong.proxy}/api/x?q=1", data="body", headers=dict([token()]), timeout=60)
    echoed = answer.json()
    assert (echoed["path"], echoed["body"]) == ("/api/x?q=1", "body")
    assert ["X-Forwarded-Path", "/api/x"] in echoed["headers"]
    assert answer.headers["X-RateLimit-Limit-Minute"] == "500"
    assert requests.head(f"{kong.proxy}/api", headers=dict([token()]), timeout=60).status_code == 200
    assert requests.get(f"{kong.tls}/api", verify=False, timeout=60).status_code == 401


def test_an_active_breaker_opens_and_closes_again(kong: Kong, echo: ThreadingHTTPServer) -> None:
    headers = dict([token()])
    echo.healthy = False  # type: ignore[attr-defined]
    _wait_for(lambda: kong.get(headers=headers).status_code == 503, kong.process)
    assert kong.get(headers=headers).json()["message"] == "failure to get a peer from the ring-balancer"
    echo.healthy = True  # type: ignore[attr-defined]
    _wait_for(lambda: kong.get(headers=headers).status_code == 200, kong.process)


def test_without_its_database_kong_serves_what_it_knows_and_is_not_ready(kong: Kong, postgres: Postgres) -> None:
    known, unknown = dict([token()]), dict([token(key="k9")])
    assert kong.get(headers=known).status_code == 200
    postgres.stop()
    _wait_for(lambda: kong.ready() == (503, "failed to connect to database"), kong.process)
    assert kong.get(headers=known).status_code == 200
    assert kong.get(headers=unknown).status_code == 500
    assert kong.post("consumers", {"username": "late"}).status_code == 500
    assert "kong_datastore_reachable 0" in requests.get(f"{kong.status}/metrics", timeout=60).text
    postgres.start()
    _wait_for(lambda: kong.ready()[0] == 200, kong.process)
    assert kong.get(headers=unknown).status_code == 401


def test_migrations_fail_in_words_when_no_database_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("KONG_PG_PORT", str(_free_port()))
    assert server.main(["migrations", "bootstrap"]) == 1
    assert "[PostgreSQL error]" in capsys.readouterr().err


def test_config_parse_knows_what_a_kong_without_database_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(GATEWAY.replace("PLUGINS", LIMIT.replace("limit_by: ip", "policy: cluster")))
    assert server.main(["config", "parse", str(file)]) == 0
    monkeypatch.setenv("KONG_DATABASE", "off")
    assert server.main(["config", "parse", str(file)]) == 1
    assert "in 'policy': expected one of: local, redis" in capsys.readouterr().err


def test_a_kong_without_database_is_ready_once_it_has_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready() -> int:
        return (await Status(Node(await server.open_store()))(Request("GET", "/status/ready", []))).status

    monkeypatch.setenv("KONG_DATABASE", "off")
    assert asyncio.run(ready()) == 503
    monkeypatch.setenv("KONG_DECLARATIVE_CONFIG_STRING", GATEWAY.replace("PLUGINS", JWT))
    assert asyncio.run(ready()) == 200


SIZE = "{name: request-size-limiting, config: {allowed_payload_size: 1, size_unit: kilobytes}}"


@pytest.mark.parametrize(
    ("size", "headers", "status"),
    [
        (1024, [("Content-Length", "1024")], 200),
        (1025, [("Content-Length", "1025")], 413),
        (1025, [("Content-Length", "1025"), ("Expect", "100-continue")], 417),
        (1025, [("Transfer-Encoding", "chunked")], 413),
        (0, [], 200),
    ],
)
def test_a_body_above_the_plugins_limit_is_refused(size: int, headers: list[tuple[str, str]], status: int) -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await gateway.proxy(Request("POST", "/api/x", [("Host", "g"), *headers], b"x" * size, "192.0.2.1"))
        assert answer.status == status
        if status != 200:
            assert message_of(answer)["message"] == "Request size limit exceeded"

    Gateway(SIZE).play(scene)


def test_nginx_refuses_a_body_above_its_own_limit_before_any_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(gateway: Gateway) -> None:
        large = await gateway.proxy(Request("POST", "/api/x", [("Host", "g")], b"x" * (2 * 2**20 + 1), "192.0.2.1"))
        assert (large.status, message_of(large)["message"]) == (413, "Payload too large")
        small = await gateway.proxy(Request("POST", "/api/x", [("Host", "g")], b"x" * 2**20, "192.0.2.1"))
        assert small.status == 401  # jwt's

    monkeypatch.setenv("KONG_NGINX_PROXY_CLIENT_MAX_BODY_SIZE", "2m")
    Gateway(JWT).play(scene)


PAGE = ("Origin", "https://evil.example")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def admin(*headers: tuple[str, str], method: str = "GET", path: str = "/services", body: bytes = b"") -> Response:
    """The Admin API's response, of a node with GATEWAY's entities."""
    found: list[Response] = []

    async def scene(gateway: Gateway) -> None:
        found.append(await Admin(gateway.node)(Request(method, path, list(headers), body)))

    Gateway("").play(scene)
    return found[0]


def test_the_admin_api_lets_any_page_read_it_while_no_origin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    read = admin(PAGE)
    assert first(read.headers, "access-control-allow-origin") == PAGE[1]
    assert first(read.headers, "access-control-allow-credentials") == "true"
    assert first(admin().headers, "access-control-allow-origin") == "*"
    asked = admin(PAGE, ("Access-Control-Request-Headers", "content-type"), method="OPTIONS")
    assert (asked.status, first(asked.headers, "access-control-allow-headers")) == (204, "content-type")
    assert admin(PAGE, FORM, method="POST", body=b"name=x&host=y").status == 405  # read, and refused without a database
    assert admin(PAGE, ("Content-Type", "text/plain"), method="POST", body=b"{}").status in (405, 415)
    monkeypatch.setenv("KONG_ADMIN_GUI_URL", "http://127.0.0.1:8001/manager")
    assert first(admin(PAGE).headers, "access-control-allow-origin") == "http://127.0.0.1:8001"


GUARD = """default_type application/json;
if ($http_kong_admin_token != "let-me-in") {
    return 401 '{"message":"no"}';
}
"""


def test_a_file_that_is_included_asks_for_a_header_before_the_admin_api(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "admin.conf"
    file.write_text(GUARD)
    monkeypatch.setenv("KONG_NGINX_ADMIN_INCLUDE", str(file))
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        refused = admin(PAGE, FORM, method=method)
        assert (refused.status, message_of(refused)) == (401, {"message": "no"})
        assert not first(refused.headers, "access-control-allow-origin")
    assert admin(("Kong-Admin-Token", "let-me-i"), path="/status").status == 401
    assert admin(("Kong-Admin-Token", "let-me-in"), ("kong_admin_token", "x")).status == 401  # nginx joins them
    assert admin(("Kong-Admin-Token", "let-me-in")).status == 200
    file.write_text("allow 10.0.0.0/8;")
    with pytest.raises(ValueError, match="does not know"):
        admin()


def test_the_products_own_file_is_one_of_those(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "admin.conf"
    file.write_text(admin_guard("t" * 32))
    monkeypatch.setenv("KONG_NGINX_ADMIN_INCLUDE", str(file))
    assert admin().status == 401
    assert admin(("Kong-Admin-Token", "t" * 32)).status == 200


REDIS = "{host: 127.0.0.1, port: PORT, timeout: MS}"
COUNTED = f"{{name: rate-limiting, config: {{minute: 2, limit_by: ip, policy: redis, redis: {REDIS}}}}}"


@pytest.fixture
def valkey() -> Iterator[Callable[[bytes], int]]:
    """Starts a server that says this to every command; nothing at all is a frozen one."""
    stopped: list[Callable[[], None]] = []

    def start(answer: bytes) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        stopped.append(listening.close)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=answer_all, args=(connection,), daemon=True).start()

        def answer_all(connection: socket.socket) -> None:
            used = 0
            while answer and connection.recv(65536):
                connection.sendall(answer.replace(b"USED", str(used).encode()))
                used += 1

        threading.Thread(target=serve, daemon=True).start()
        return int(listening.getsockname()[1])

    yield start
    for stop in stopped:
        stop()


def counted(port: int, timeout_ms: int, calls: int) -> tuple[list[int], float]:
    """The statuses of that many calls one after another, and the seconds of the slowest."""
    statuses, slowest = list[int](), 0.0

    async def scene(gateway: Gateway) -> None:
        nonlocal slowest
        for _ in range(calls):
            began = time.perf_counter()
            statuses.append((await gateway.get()).status)
            slowest = max(slowest, time.perf_counter() - began)

    Gateway(COUNTED.replace("PORT", str(port)).replace("MS", str(timeout_ms))).play(scene)
    return statuses, slowest


def test_nodes_count_together_in_a_redis(valkey: Callable[[bytes], int]) -> None:
    assert counted(valkey(b":USED\r\n"), 500, 4)[0] == [200, 200, 429, 429]


def test_a_frozen_redis_costs_a_call_its_time_out_and_no_more(valkey: Callable[[bytes], int]) -> None:
    frozen = valkey(b"")
    statuses, slowest = counted(frozen, 5, 4)
    assert statuses == [200] * 4
    assert slowest < 0.25
    assert counted(frozen, 400, 1)[1] >= 0.4


def test_a_redis_that_refuses_lets_calls_pass_uncounted(valkey: Callable[[bytes], int]) -> None:
    assert counted(valkey(b"-NOAUTH Authentication required.\r\n"), 500, 3)[0] == [200] * 3


# Consumers with keys and groups of their own


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CALLERS = """
- username: staff
  acls: [{group: staff}]
  jwt_secrets:
  - {key: r1, algorithm: RS256, rsa_public_key: RSA}
  - {key: e1, algorithm: ES256, rsa_public_key: EC}
  - {key: d1, algorithm: EdDSA, rsa_public_key: ED}
  plugins: [{name: rate-limiting, config: {minute: 4, limit_by: consumer}}]
"""
ACL = "{name: acl, config: {allow: [staff]}}"


def public(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def encoded(part: Any) -> str:
    """One part of a token."""
    return (
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=").decode()
    )


def with_callers(*plugins: str) -> Gateway:
    callers = CALLERS
    for name, key in (("RSA", RSA), ("EC", EC), ("ED", ED)):
        callers = callers.replace(f"rsa_public_key: {name}", f"rsa_public_key: {json.dumps(public(key))}")
    return Gateway(", ".join((JWT, *plugins)), more=callers)


async def status_of(gateway: Gateway, *headers: tuple[str, str], peer: str = "192.0.2.1") -> int:
    return (await gateway.get(*headers, peer=peer)).status


def test_each_kind_of_key_lets_its_own_tokens_in_and_no_forged_one() -> None:
    forged = rsa.generate_private_key(65537, 2048)
    claims = encoded({"exp": time.time() + 60})
    unsigned = f"{encoded({'alg': 'none', 'kid': 'r1'})}.{claims}."
    body = f"{encoded({'alg': 'HS256', 'kid': 'r1'})}.{claims}"
    by_public_key = f"{body}.{encoded(hmac.new(public(RSA).encode(), body.encode(), hashlib.sha256).digest())}"

    async def scene(gateway: Gateway) -> None:
        for key, private, algorithm in (("r1", RSA, "RS256"), ("e1", EC, "ES256"), ("d1", ED, "EdDSA")):
            assert await status_of(gateway, token(key, private, algorithm)) == 200, key
        assert await status_of(gateway, token("r1", forged, "RS256")) == 401
        assert await status_of(gateway, token("r1", RSA, "RS512")) == 401
        assert await status_of(gateway, ("Authorization", f"Bearer {unsigned}")) == 401
        assert await status_of(gateway, ("Authorization", f"Bearer {by_public_key}")) == 401

    with_callers().play(scene)


def test_a_route_with_groups_refuses_all_others() -> None:
    async def scene(gateway: Gateway) -> None:
        assert await status_of(gateway, token("r1", RSA, "RS256")) == 200
        assert ("X-Consumer-Groups", "staff") in gateway.upstream.asked[0][1].headers
        refused = await gateway.get(token())
        assert (refused.status, message_of(refused)["message"]) == (403, "You cannot consume this service")
        assert await status_of(gateway) == 401

    with_callers(ACL).play(scene)


def test_a_consumers_own_limit_counts_its_calls_from_everywhere_and_takes_the_place_of_the_routes() -> None:
    async def scene(gateway: Gateway) -> None:
        for number, status in enumerate((200, 200, 200, 200, 429)):
            peer = f"192.0.2.{number}"
            assert await status_of(gateway, token("r1", RSA, "RS256"), peer=peer) == status
            await asyncio.sleep(0)
        assert await status_of(gateway, token()) == 200

    with_callers(LIMIT).play(scene)
