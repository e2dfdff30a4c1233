"""What the plugins do to a call: change it, or answer it themselves by raising ExitError."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from sandbox.kong.call import Call, ExitError, exit_with, fault
from sandbox.kong.node import Node
from sandbox.kong.plugin_schemas import PERIODS
from sandbox.kong.schemas import Row
from sandbox.kong.tokens import authenticate
from sandbox.kong.tracing import opentelemetry
from sandbox.kong.wire import BROKEN, Headers, Response, first, without

SECONDS = dict(zip(PERIODS, (1, 60, 3600, 86400, 2592000, 31536000), strict=True))
PLAIN = re.compile("[A-Za-z0-9.:/-]+")  # an origin that is no regular expression


def cors_headers(call: Call, config: Row) -> Headers:
    """Which origin may read the answer."""
    origins, asked = config["origins"] or ["*"], first(call.request.headers, "origin")
    if origins == ["*"] or ("*" in origins and asked):
        if not config["credentials"] or not asked:
            return [("Access-Control-Allow-Origin", "*")]
        origins = [asked]  # a wildcard is not allowed with credentials
    fixed = len(origins) == 1 and PLAIN.fullmatch(origins[0])
    allowed = origins[0] if fixed else asked if any(_is_origin(entry, asked) for entry in origins) else ""
    headers = [("Vary", "Origin")] + [("Access-Control-Allow-Origin", allowed)] * bool(allowed)
    return headers + [("Access-Control-Allow-Credentials", "true")] * config["credentials"]


def _is_origin(entry: str, origin: str) -> bool:
    if PLAIN.fullmatch(entry):
        return entry == origin
    subject = origin if ":" in entry else urlsplit(origin).hostname or origin
    return re.fullmatch(entry.removeprefix("^").removesuffix("$"), subject) is not None


def is_preflight(call: Call) -> bool:
    """Whether a browser asks what it may ask."""
    headers = call.request.headers
    asks = first(headers, "origin") and first(headers, "access-control-request-method")
    return call.request.method == "OPTIONS" and bool(asks)


async def cors(call: Call, plugin: Row, _: Node) -> None:
    """Answer a preflight before any other plugin sees it."""
    config, headers = plugin["config"], call.request.headers
    if not is_preflight(call) or config["preflight_continue"]:
        return
    private = config["private_network"] and first(headers, "access-control-request-private-network")
    values = {
        "Headers": ",".join(config["headers"] or []) or first(headers, "access-control-request-headers"),
        "Methods": ",".join(config["methods"] or []),
        "Private-Network": "true" if private else "",
    }
    answer = [(f"Access-Control-Allow-{name}", value) for name, value in values.items() if value]
    age = [] if config["max_age"] is None else [("Access-Control-Max-Age", f"{config['max_age']:g}")]
    raise ExitError(Response(200, cors_headers(call, config) + answer + age))


UNITS = {"bytes": 1, "kilobytes": 2**10, "megabytes": 2**20}


async def request_size_limiting(call: Call, plugin: Row, _: Node) -> None:
    """Refuse a body above the limit, declared or counted; 417 for a client that waits for leave to send it."""
    config, headers = plugin["config"], call.request.headers
    declared = first(headers, "content-length")
    if not declared.isdigit() and config["require_content_length"] and first(headers, "transfer-encoding") != "chunked":
        raise call.refuse(411, "A valid Content-Length header is required")
    length = int(declared) if declared.isdigit() else len(call.request.body)
    if length > config["allowed_payload_size"] * UNITS[config["size_unit"]]:
        waits = first(headers, "expect").strip().lower() == "100-continue"
        raise call.refuse(417 if waits else 413, "Request size limit exceeded")


async def rate_limiting(call: Call, plugin: Row, node: Node) -> None:
    """Count in fixed calendar windows: on this node after having looked, so that calls at the same time pass together.

    In a Redis with the look; one that does not answer in time costs that time, and the call passes uncounted.
    """
    config, now = plugin["config"], int(time.time())
    scope = [(plugin[name] or {"id": ""})["id"] for name in ("route", "service")]
    scope.append(_limited(call, config))
    keys = {period: (*scope, period, _start(period, now)) for period in PERIODS if config[period]}
    used = {period: node.counters.get(key, 0) for period, key in keys.items()}
    if config["policy"] == "redis":
        try:
            used = {
                period: await node.redis.usage(config["redis"], key, SECONDS[period]) for period, key in keys.items()
            }
        except BROKEN as error:
            print(f"failed to get usage: {error!r}", flush=True)
            if not config["fault_tolerant"]:
                raise fault() from error
            return
    left = {period: config[period] - used[period] for period in keys}
    full = next((period for period in keys if left[period] <= 0), None)
    left = {period: max(0, n - (full in (None, period))) for period, n in left.items()}
    tightest = min(left, key=lambda period: (left[period], -SECONDS[period]))
    reset = max(1, SECONDS[tightest] - (now - keys[tightest][-1]))
    if not config["hide_client_headers"]:
        for period in keys:
            call.answer.append((f"X-RateLimit-Limit-{period.title()}", f"{config[period]:g}"))
            call.answer.append((f"X-RateLimit-Remaining-{period.title()}", f"{left[period]:g}"))
        summary = {"Limit": config[tightest], "Remaining": left[tightest], "Reset": reset}
        call.answer += [(f"RateLimit-{name}", f"{value:g}") for name, value in summary.items()]
        call.answer += [("Retry-After", str(reset))] if full else []
    if full:
        raise call.refuse(int(config["error_code"]), config["error_message"])
    if config["policy"] == "local":
        asyncio.get_running_loop().call_soon(_count, node, list(keys.values()), now)


def _limited(call: Call, config: Row) -> str:
    """What is counted, the client's address if there is nothing better."""
    assert call.match
    consumer, credential = (call.consumer or {}).get("id"), (call.credential or {}).get("id")
    found = {
        "service": call.match.service["id"],
        "consumer": consumer or credential,
        "credential": credential,
        "header": first(call.request.headers, (config["header_name"] or "").lower()),
        "path": call.path if call.path == config["path"] else None,
    }.get(config["limit_by"])
    return str(found or call.client)


def _start(period: str, now: int) -> int:
    """When the current window began, in UTC."""
    if period not in ("month", "year"):
        return now - now % SECONDS[period]
    today = datetime.fromtimestamp(now, UTC)
    return int(datetime(today.year, today.month if period == "month" else 1, 1, tzinfo=UTC).timestamp())


def _count(node: Node, keys: list[tuple[str, ...]], now: int) -> None:
    if len(node.counters) > 10_000:
        node.counters = {key: n for key, n in node.counters.items() if key[-1] + SECONDS[key[-2]] > now}
    for key in keys:
        node.counters[key] = node.counters.get(key, 0) + 1


async def request_transformer(call: Call, plugin: Row, _: Node) -> None:
    """Remove, rename, replace, add and append, in this order; `add` never overrides what the client sent."""
    config, request = plugin["config"], call.request
    call.path = _rendered(config["replace"]["uri"], call) if config["replace"]["uri"] else call.path
    request.method = config["http_method"] or request.method
    host = [header for header in request.headers if header[0].lower() == "host"]
    request.headers = host + _transformed(without(request.headers, "host"), config, "headers", call, str.lower)
    if any(config[verb]["querystring"] for verb in VERBS):
        call.query = urlencode(_transformed(parse_qsl(call.query, keep_blank_values=True), config, "querystring", call))


async def acl(call: Call, plugin: Row, node: Node) -> None:
    """Let the consumers of a group in, or all but those of one."""
    if not call.consumer:
        raise exit_with(401, {"message": "Unauthorized"})
    config, mine = plugin["config"], call.consumer["id"]
    groups = [row["group"] for row in await node.store.rows("acls") if row["consumer"]["id"] == mine]
    if bool({*groups} & {*(config["allow"] or config["deny"])}) is not bool(config["allow"]):
        raise exit_with(403, {"message": "You cannot consume this service"})
    if not config["hide_groups_header"]:
        call.request.headers = [
            *without(call.request.headers, "x-consumer-groups"),
            ("X-Consumer-Groups", ", ".join(groups)),
        ]


VERBS = ("remove", "rename", "replace", "add", "append")


def _transformed(pairs: Headers, config: Row, part: str, call: Call, fold: Callable[[str], str] = str) -> Headers:
    for verb in VERBS:
        for entry in config[verb][part]:
            name, value = re.split(":+", entry, maxsplit=1) if ":" in entry else (entry, "")
            named = [pair for pair in pairs if fold(pair[0]) == fold(name)]
            others = [pair for pair in pairs if fold(pair[0]) != fold(name)]
            if verb == "remove":
                pairs = others
            elif verb == "rename" and named:
                others = [pair for pair in others if fold(pair[0]) != fold(value)]
                pairs = others + [(value, found) for _, found in named]
            elif (verb == "replace" and named) or (verb == "add" and not named):
                pairs = [*others, (name, _rendered(value, call))]
            elif verb == "append":
                pairs = [*pairs, (name, _rendered(value, call))]
    return pairs


def _rendered(template: str, call: Call) -> str:
    """A value with its `$(...)` evaluated, as Kong does with any of them: a secret that holds one is a fault."""

    def evaluated(expression: re.Match[str]) -> str:
        known = re.fullmatch(r"(headers|query_params)(?:\.|\[['\"])([\w-]+)(?:['\"]\])?", expression[1])
        if not known:
            raise fault()
        pairs = call.request.headers if known[1] == "headers" else parse_qsl(call.query)
        return first(pairs, known[2].lower())

    return re.sub(r"\$\((.*?)\)", evaluated, template)


ACCESS: dict[str, Callable[[Call, Row, Node], Awaitable[None]]] = {
    "cors": cors,
    "jwt": authenticate,
    "acl": acl,
    "request-size-limiting": request_size_limiting,
    "rate-limiting": rate_limiting,
    "request-transformer": request_transformer,
    "opentelemetry": opentelemetry,
}
