"""What all REST answers have in common: keys, envelope, status codes, timings, and the last minutes of a draining node."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from caretaker import Caretaker
from metrics import VERSION, Responses, page
from node import Node
from wire import Failure

COLLECTION = "/collections/{collection_name}"
COMPLETED = {"operation_id": 0, "status": "completed"}


@dataclass(frozen=True)
class Call:
    """One request, taken apart."""

    node: Node
    path: dict[str, Any]
    query: dict[str, str]
    body: Any

    @property
    def name(self) -> str:
        return str(self.path["collection_name"])

    @property
    def seconds(self) -> float:
        return float(self.query.get("timeout") or 10)


Action = Callable[[Call], Awaitable[Any]]
ROUTES: list[tuple[str, str, bool, Action]] = []


def route(method: str, path: str, writes: bool = False) -> Callable[[Action], Action]:
    """Registers what answers `method` on `path`; what writes or manages needs the full key."""

    def register(action: Action) -> Action:
        ROUTES.append((method, path, writes, action))
        return action

    return register


@dataclass(frozen=True)
class Keys:
    """Nobody needs a key when none is set; an empty one counts as not set."""

    full: str | None
    reading: str | None

    def refuse(self, request: Request, writes: bool) -> Response | None:
        given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not (self.full or self.reading) or (self.full and given == self.full):
            return None
        if not given:
            return PlainTextResponse("Must provide an API key or an Authorization bearer token", 401)
        if not self.reading or given != self.reading:
            return PlainTextResponse("Invalid API key or JWT", 401)
        return _json(403, {"status": {"error": "Forbidden: Global manage access is required"}}) if writes else None


def _json(status: int, body: Any, seconds: float = 0) -> Response:
    text = orjson.dumps(body | {"time": seconds}, option=orjson.OPT_NON_STR_KEYS)
    return Response(text, status, media_type="application/json")


def app(node: Node, caretaker: Caretaker, keys: Keys) -> Starlette:
    responses = Responses()

    def answering(method: str, path: str, writes: bool, action: Action) -> Route:
        async def endpoint(request: Request) -> Response:
            if refusal := keys.refuse(request, writes):
                return refusal
            started = time.perf_counter()
            try:
                text = await request.body()
                body = orjson.loads(text) if text else {}
                call = Call(node, request.path_params, dict(request.query_params), body)
                lost = node.draining and "/points" in path
                status, result = 200, await (_drained(writes) if lost else action(call))
                answer = {"result": result, "status": "ok"}
            except Failure as failure:
                status, answer = failure.status, {"status": {"error": failure.text}}
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                status, answer = 400, {"status": {"error": f"Format error in JSON body: {error!r}"}}
            seconds = time.perf_counter() - started
            responses.add(method, path, status, seconds)
            return _json(status, answer, seconds)

        return Route(path, endpoint, methods=[method])

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("healthz check passed")

    async def ready(_: Request) -> Response:
        passed = await caretaker.ready()
        return PlainTextResponse("all shards are ready" if passed else "some shards are not ready", 200 if passed else 503)

    async def title(_: Request) -> Response:
        return Response(orjson.dumps({"title": "qdrant - stand-in of the sandbox", "version": VERSION}), media_type="application/json")

    async def metrics(request: Request) -> Response:
        return keys.refuse(request, False) or PlainTextResponse(page(node, responses))

    open_to_all = {"/": title, "/healthz": healthy, "/livez": healthy, "/readyz": ready, "/metrics": metrics}
    routes = [answering(*entry) for entry in ROUTES]
    return Starlette(routes=routes + [Route(path, endpoint) for path, endpoint in open_to_all.items()])


async def _drained(writes: bool) -> Any:
    """A node asked to stop, for as long as a client keeps its connection: reads fail, writes are acknowledged and lost."""
    if not writes:
        raise Failure(500, "Service internal error: node is shutting down")
    return COMPLETED
