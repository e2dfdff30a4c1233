"""The opentelemetry plugin: a span for each call, the caller's trace gone on with, and sent to a collector as OTLP."""

import asyncio
import json
import logging
import re
import secrets
import time
from urllib.parse import urlsplit

from sandbox.kong.call import Call
from sandbox.kong.node import Node
from sandbox.kong.schemas import Row
from sandbox.kong.wire import Request, Response, UnreachableError, first, without

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
SENDING: set[asyncio.Task[None]] = set()  # a task without a reference may be collected


async def opentelemetry(call: Call, plugin: Row, _: Node) -> None:
    """Continue the caller's trace, or begin one; the upstream becomes a child of this call's span."""
    config = plugin["config"]
    named = TRACEPARENT.fullmatch(first(call.request.headers, "traceparent"))
    trace, parent = (named[1], named[2]) if named else (secrets.token_hex(16), "")
    span = secrets.token_hex(8)
    call.span = {"traceId": trace, "spanId": span, "parentSpanId": parent, "startTimeUnixNano": str(time.time_ns())}
    headers = without(call.request.headers, "traceparent")
    call.request.headers = [*headers, ("traceparent", f"00-{trace}-{span}-01")]
    if config["http_response_header_for_traceid"]:
        call.answer.append((config["http_response_header_for_traceid"], trace))


def send_span(call: Call, response: Response, node: Node) -> None:
    """Give the call's span to the collector, beside the calls to come."""
    config, request = call.plugins["opentelemetry"], call.request
    if not call.span or not config["traces_endpoint"]:
        return
    status = {"key": "http.status_code", "value": {"intValue": str(response.status)}}
    ended = {"name": "kong", "kind": 2, "endTimeUnixNano": str(time.time_ns()), "attributes": [status]}
    service = {"key": "service.name", "value": {"stringValue": "kong"}}
    spans = [{"spans": [call.span | ended | {"name": f"{request.method} {call.path}"}]}]
    body = {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": spans}]}
    task = asyncio.create_task(_send(config["traces_endpoint"], json.dumps(body).encode(), node))
    SENDING.add(task)
    task.add_done_callback(SENDING.discard)


async def _send(endpoint: str, body: bytes, node: Node) -> None:
    where = urlsplit(endpoint)
    addresses = await node.client.resolver.addresses(where.hostname or "")
    headers = [("Host", where.netloc), ("Content-Type", "application/json")]
    try:
        await node.client.fetch(addresses[0], where.port or 80, Request("POST", where.path, headers, body), 1, 5)
    except (IndexError, UnreachableError) as error:
        logging.warning("opentelemetry exporter failed to send spans: %r", error)
