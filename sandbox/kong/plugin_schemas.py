"""The configs of the bundled plugins this stand-in has, field by field as Kong 3.9.3 declares them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sandbox.kong.schemas import HEADER, HOST, NUMBER, OFF, ON, PATH, STRING, Field, Fields, Row, listed, matching

PERIODS = ("second", "minute", "hour", "day", "month", "year")
METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")
FLAG, LIMIT = Field("boolean", False), Field("number", gt=0)


@dataclass(frozen=True)
class Plugin:
    """What is known of a plugin: the higher its priority, the earlier it runs."""

    priority: int
    config: Fields
    checks: Callable[[Row], Row] = lambda config: {}
    shorthands: str = ""  # deprecated `<record>_<field>` forms of this record's fields, read and shown for ever
    per_consumer: bool = True


def _rate_limits(config: Row) -> Row:
    limits = [(period, config[period]) for period in PERIODS if config[period]]
    if not limits:
        names = ", ".join(f"'config.{period}'" for period in PERIODS)
        return {"@entity": [f"at least one of these fields must be non-empty: {names}"]}
    for (low, few), (high, many) in combinations(limits, 2):
        if many < few:
            return {"config": f"The limit for {high}({many:.1f}) cannot be lower than the limit for {low}({few:.1f})"}
    if config["policy"] != "redis" and config["sync_rate"] != -1:
        return {"config": "sync_rate can only be used with the redis policy"}
    missing = "required field missing"
    for chooser, choice, value, found in (
        ("limit_by", "header", config["header_name"], {"header_name": missing}),
        ("limit_by", "path", config["path"], {"path": missing}),
        ("policy", "redis", config["redis"]["host"], {"redis": {"host": missing}}),
    ):
        if config[chooser] == choice and not value:
            return {
                "@entity": [f"failed conditional validation given value of field 'config.{chooser}'"],
                "config": found,
            }
    return {}


def _jwt(config: Row) -> Row:
    if (config["maximum_expiration"] or 0) > 0 and "exp" not in (config["claims_to_verify"] or []):
        return {
            "@entity": ["failed conditional validation given value of field 'config.maximum_expiration'"],
            "config": {"claims_to_verify": "expected to contain: exp"},
        }
    return {}


def _termination(config: Row) -> Row:
    both = config["message"] and (config["content_type"] or config["body"])
    return {"config": "message cannot be used with content_type or body"} if both else {}


def _transformation(verb: str) -> Field:
    header, other = (
        matching(r"^[\w-]+(:|$)", "'{}' is not a valid header"),
        matching(r"^[^:]+:+.", "key '{}' has no value"),
    )
    colon = matching(r"^[^:]+:", "invalid value: {}")
    pair = header if verb == "remove" else lambda value: colon(value) or header(value)
    inner: dict[str, Any] = {"body": None if verb == "remove" else other, "headers": pair}
    inner["querystring"] = inner["body"]
    record = {
        name: Field("array", [], required=True, elements=Field("string", check=check)) for name, check in inner.items()
    }
    return Field("record", fields=record | ({"uri": STRING} if verb == "replace" else {}))


REDIS = {
    "host": HOST,
    "port": Field("integer", 6379, between=(0, 65535)),
    "timeout": Field("integer", 2000, between=(0, 2**31 - 2)),
    "username": STRING,
    "password": Field("string", len_min=0),
    "database": Field("integer", 0),
    "ssl": FLAG,
    "ssl_verify": FLAG,
    "server_name": HOST,
}
PLUGINS = {
    "cors": Plugin(
        2000,
        per_consumer=False,
        config={
            "origins": listed(),
            "headers": listed(),
            "exposed_headers": listed(),
            "methods": listed(list(METHODS), one_of=METHODS),
            "max_age": NUMBER,
            "credentials": OFF,
            "private_network": OFF,
            "preflight_continue": OFF,
        },
    ),
    "jwt": Plugin(
        1450,
        per_consumer=False,
        checks=_jwt,
        config={
            "uri_param_names": listed(["jwt"], of="set"),
            "cookie_names": listed([], of="set"),
            "key_claim_name": Field("string", "iss"),
            "secret_is_base64": OFF,
            "claims_to_verify": listed(of="set", one_of=("exp", "nbf")),
            "anonymous": STRING,
            "run_on_preflight": ON,
            "maximum_expiration": Field("number", 0, between=(0, 31536000)),
            "header_names": listed(["authorization"], of="set"),
            "realm": STRING,
        },
    ),
    "rate-limiting": Plugin(
        910,
        checks=_rate_limits,
        shorthands="redis",
        config=dict.fromkeys(PERIODS, LIMIT)
        | {
            "limit_by": Field(
                "string", "consumer", one_of=("consumer", "credential", "ip", "service", "header", "path")
            ),
            "header_name": HEADER,
            "path": PATH,
            "policy": Field("string", "local", one_of=("local", "cluster", "redis"), len_min=0),
            "fault_tolerant": ON,
            "redis": Field("record", fields=REDIS),
            "hide_client_headers": OFF,
            "error_code": Field("number", 429, gt=0),
            "error_message": Field("string", "API rate limit exceeded"),
            "sync_rate": Field("number", -1, required=True),
        },
    ),
    "request-transformer": Plugin(
        801,
        config={"http_method": Field("string", check=matching("^[A-Z]+$", "invalid value: {}"))}
        | {verb: _transformation(verb) for verb in ("remove", "rename", "replace", "add", "append")},
    ),
    "prometheus": Plugin(
        13,
        config=dict.fromkeys(("per_consumer", "status_code_metrics", "ai_metrics", "latency_metrics", "bandwidth_metrics", "upstream_health_metrics"), FLAG),
    ),
    "request-termination": Plugin(
        2,
        checks=_termination,
        config={
            "status_code": Field("integer", 503, required=True, between=(100, 599)),
            "message": STRING,
            "content_type": STRING,
            "body": STRING,
            "echo": OFF,
            "trigger": HEADER,
        },
    ),
}
