"""The door of every role: an id, a count and a log line for each request, and no entry without the service token."""

import logging
import re
import secrets
import time
import uuid
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag import logs
from rag.body import TooLarge, read_body
from rag.metrics import Metrics
from rag.traces import Traces

log = logging.getLogger(__name__)

OPEN_PATHS = {"/health": "health", "/ready": "ready", "/metrics": "metrics"}
POLLED = {*OPEN_PATHS.values(), "progress"}  # a log line for each would hide the others
TOKEN_HEADERS = (b"x-service-token", b"x_service_token")  # the twin becomes the first behind many a proxy
GOOD_ID = re.compile(rb"[A-Za-z0-9._:/-]{1,128}")

Headers = Sequence[tuple[bytes, bytes]]


class Front:
    """Wraps a role's application."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        metrics: Metrics,
        traces: Traces,
        max_body_bytes: int,
        *,
        rereads_openly: bool = False,  # a caller without a token may have the role's own sources indexed again
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._token = token.encode()
        self._rereads_openly = rereads_openly
        self._metrics = metrics
        self.leaving = False  # about to stop: health checks fail, so that balancers choose another process
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        logs.request_id.set(request_id(scope["headers"]))
        if scope["path"] in OPEN_PATHS:  # probes, all the time
            await self._serve(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._traces.request(f"{scope['method']} {scope['path']}", headers) as span:
            status = await self._serve(scope, receive, send)
            span.set_attributes({"http.response.status_code": status, "rag.request_id": logs.request_id.get()})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer, count and log; return the status."""
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = logs.request_id.get()
                if self.leaving:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            if self.leaving and scope["path"] == "/health":
                await LEAVING(scope, receive, answer)
            elif not self._may_enter(scope):
                await UNAUTHORIZED(scope, receive, answer)
            else:
                await self._enter(scope, receive, answer)
        except Exception:  # the application has answered 500; a caller learns no more than that
            log.exception("unexpected failure")
        finally:
            self._record(scope, status, time.perf_counter() - began)
        return status

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with a body within bounds; HEAD is GET whose body is not sent."""
        try:
            receive = await read_body(scope, receive, self._max_body_bytes)
        except TooLarge as error:
            await _problem(413, "body_too_large", str(error))(scope, receive, send)
            return
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        get = {**scope, "method": "GET"}
        await self._app(get, receive, _without_body(send))
        scope["route"] = get.get("route")

    def _may_enter(self, scope: Scope) -> bool:
        if scope["path"] in OPEN_PATHS or has_token(scope["headers"], self._token):
            return True
        asks_to_reread = (scope["method"], scope["path"]) == ("POST", "/reindex") and has_no_body(scope["headers"])
        return self._rereads_openly and asks_to_reread

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        operation = OPEN_PATHS.get(scope["path"]) or getattr(scope.get("route"), "name", "other")
        self._metrics.requests.labels(operation, str(status)).inc()
        if operation in ("search", "query") and status < 300:
            self._metrics.duration.labels(operation).observe(seconds)
        quiet = operation in POLLED and status < 400
        details = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 4)}
        log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"operation": operation, **details})


def has_token(headers: Headers, token: bytes) -> bool:
    """Return whether the token stands there exactly once, in one spelling, compared in constant time."""
    given = [value for name, value in headers if name.lower() in TOKEN_HEADERS]
    names = {name.lower() for name, _ in headers}
    return len(given) == 1 and TOKEN_HEADERS[1] not in names and secrets.compare_digest(given[0], token)


def has_no_body(headers: Headers) -> bool:
    """Return whether nothing follows these headers of an HTTP/1.1 request."""
    found = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" not in found and found.get(b"content-length", b"0") == b"0"


def request_id(headers: Headers) -> str:
    """Return the caller's id if it is harmless in a log, else a new one."""
    given = [value for name, value in headers if name.lower() == b"x-request-id"]
    if len(given) == 1 and GOOD_ID.fullmatch(given[0]):
        return given[0].decode()
    return uuid.uuid4().hex


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sent


def _problem(status: int, error: str, message: str) -> ASGIApp:
    return JSONResponse({"error": error, "message": message}, status)


LEAVING = _problem(503, "leaving", "this process is about to stop; call another one")
UNAUTHORIZED = _problem(
    401,
    "unauthorized",
    "expected one X-Service-Token header with the service token; call through the gateway, which adds it",
)
