"""The configs of the bundled plugins this stand-in has, field by field as Kong 3.9.3 declares them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from sandbox.kong import schemas as s
from sandbox.kong.schemas import Field, Fields, Row
from sandbox.kong.settings import setting

PERIODS = ("second", "minute", "hour", "day", "month", "year")
METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")
TRACE_HEADERS = ("b3", "b3-single", "w3c", "jaeger", "ot", "aws", "gcp", "datadog")
MISSING = "required field missing"
COLON = s.matching("^[^:]+:", "invalid value: {}")


@dataclass(frozen=True)
class Plugin:
    """What is known of a plugin: the higher its priority, the earlier it runs."""

    priority: int
    config: Fields
    checks: Callable[[Row], Row] = lambda config: {}
    shorthands: str = ""  # the record whose fields have a deprecated form `<record>_<field>`, read and shown for ever


def _conditional(field: str, found: Row) -> Row:
    return {"@entity": [f"failed conditional validation given value of field 'config.{field}'"], "config": found}


def _rate_limits(config: Row) -> Row:
    limits = [(period, config[period]) for period in PERIODS if config[period]]
    if not limits:
        names = ", ".join(f"'config.{period}'" for period in PERIODS)
        return {"@entity": [f"at least one of these fields must be non-empty: {names}"]}
    for (low, few), (high, many) in combinations(limits, 2):
        if many < few:
            return {"config": f"The limit for {high}({many:.1f}) cannot be lower than the limit for {low}({few:.1f})"}
    return _policy(config) or _counted(config)


def _policy(config: Row) -> Row:
    if config["policy"] == "cluster" and setting("DATABASE") == "off":
        return {"config": {"policy": "expected one of: local, redis"}}
    if config["policy"] != "redis" and config["sync_rate"] != -1:
        return {"config": "sync_rate can only be used with the redis policy"}
    nowhere = config["policy"] == "redis" and not config["redis"]["host"]
    return _conditional("policy", {"redis": {"host": MISSING}}) if nowhere else {}


def _counted(config: Row) -> Row:
    needed = {"header": "header_name", "path": "path"}.get(config["limit_by"])
    return _conditional("limit_by", {needed: MISSING}) if needed and not config[needed] else {}


def _expiration(config: Row) -> Row:
    unchecked = config["maximum_expiration"] and "exp" not in (config["claims_to_verify"] or [])
    return _conditional("maximum_expiration", {"claims_to_verify": "expected to contain: exp"}) if unchecked else {}


def _somewhere(config: Row) -> Row:
    if config["traces_endpoint"] or config["logs_endpoint"]:
        return {}
    return {
        "@entity": ["at least one of these fields must be non-empty: 'config.traces_endpoint', 'config.logs_endpoint'"]
    }


def _bodies(config: Row) -> Row:
    """Transforming bodies is not implemented here: refused, and not ignored in silence."""
    asked = any(config[verb]["body"] for verb in ("remove", "rename", "replace", "add", "append") if config[verb])
    return {"config": "this stand-in does not transform bodies"} if asked else {}


def _header_pair(value: str) -> str | None:
    return COLON(value) or s.matching(r"^[\w-]+:", "'{}' is not a valid header")(value)


def _changes(header: s.Check | None, other: s.Check | None, **more: Field) -> Field:
    checks = {"body": other, "headers": header, "querystring": other}
    lists = {name: Field("array", [], True, elements=Field("string", check=check)) for name, check in checks.items()}
    return Field("record", fields=lists | more)


PAIRS = (_header_pair, s.matching(r"^[^:]+:+.", "key '{}' has no value"))
# fmt: off
REDIS = {
    "host": s.HOST, "port": Field("integer", 6379, between=s.PORT), "username": s.STRING, "ssl": s.FLAG,
    "timeout": Field("integer", 2000, between=(0, 2**31 - 2)), "password": Field("string", len_min=0),
    "database": Field("integer", 0), "ssl_verify": s.FLAG, "server_name": s.HOST,
}
QUEUE = {
    "max_batch_size": Field("integer", 200), "max_coalescing_delay": Field("number", 1), "max_bytes": Field("integer"),
    "max_entries": Field("integer", 10000), "max_retry_time": Field("number", 60),
    "max_retry_delay": Field("number", 60), "initial_retry_delay": Field("number", 0.01),
    "concurrency_limit": Field("integer", 1, one_of=(-1, 1)),
}
PLUGINS = {
    "cors": Plugin(2000, {
        "origins": s.listed(), "headers": s.listed(), "exposed_headers": s.listed(), "max_age": s.NUMBER,
        "methods": s.listed(list(METHODS), one_of=METHODS), "credentials": s.OFF, "private_network": s.OFF,
        "preflight_continue": s.OFF,
    }),
    "jwt": Plugin(1450, {
        "uri_param_names": s.listed(["jwt"], of="set"), "cookie_names": s.listed([], of="set"), "realm": s.STRING,
        "header_names": s.listed(["authorization"], of="set"), "key_claim_name": Field("string", "iss"),
        "secret_is_base64": s.OFF, "claims_to_verify": s.listed(of="set", one_of=("exp", "nbf")), "anonymous": s.STRING,
        "run_on_preflight": s.ON, "maximum_expiration": Field("number", 0, between=(0, 31536000)),
    }, _expiration),
    "request-size-limiting": Plugin(951, {
        "allowed_payload_size": Field("integer", 128), "require_content_length": s.OFF,
        "size_unit": Field("string", "megabytes", required=True, one_of=("megabytes", "kilobytes", "bytes")),
    }),
    "acl": Plugin(950, {
        "allow": s.listed(), "deny": s.listed(), "hide_groups_header": s.OFF, "always_use_authenticated_groups": s.OFF,
    }),
    "rate-limiting": Plugin(910, {period: Field("number", gt=0) for period in PERIODS} | {
        "limit_by": Field("string", "consumer", one_of=("consumer", "credential", "ip", "service", "header", "path")),
        "policy": Field("string", "local", one_of=("local", "cluster", "redis"), len_min=0), "path": s.PATH,
        "header_name": s.HEADER, "fault_tolerant": s.ON, "redis": Field("record", fields=REDIS),
        "hide_client_headers": s.OFF, "error_code": Field("number", 429, gt=0),
        "sync_rate": Field("number", -1, required=True),
        "error_message": Field("string", "API rate limit exceeded"),
    }, _rate_limits, shorthands="redis"),
    "request-transformer": Plugin(801, {
        "http_method": Field("string", check=s.UPPER_CASE),
        "remove": _changes(s.matching(r"^[\w-]+(:|$)", "'{}' is not a valid header"), None),
        "rename": _changes(*PAIRS), "replace": _changes(*PAIRS, uri=s.STRING), "add": _changes(*PAIRS),
        "append": _changes(*PAIRS),
    }, _bodies),
    "opentelemetry": Plugin(14, {
        "traces_endpoint": s.URL, "logs_endpoint": s.URL, "headers": Field("map", elements=s.STRING),
        "resource_attributes": Field("map", elements=s.STRING), "queue": Field("record", fields=QUEUE),
        "batch_span_count": Field("integer"), "batch_flush_delay": Field("integer"),
        "connect_timeout": Field("integer", 1000), "send_timeout": Field("integer", 5000),
        "read_timeout": Field("integer", 5000), "http_response_header_for_traceid": s.STRING,
        "header_type": Field("string", "preserve", one_of=("preserve", "ignore", *TRACE_HEADERS)),
        "sampling_rate": Field("number", between=(0, 1)), "propagation": Field("record", fields={
            "extract": s.listed(), "clear": s.listed(), "inject": s.listed(),
            "default_format": Field("string", "w3c", True, one_of=TRACE_HEADERS),
        }),
    }, _somewhere),
    "prometheus": Plugin(13, {
        "per_consumer": s.FLAG, "status_code_metrics": s.FLAG, "ai_metrics": s.FLAG, "latency_metrics": s.FLAG,
        "bandwidth_metrics": s.FLAG, "upstream_health_metrics": s.FLAG,
    }),
}
# fmt: on
