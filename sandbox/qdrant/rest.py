"""What all REST answers share: keys, envelope, status codes, counting, and the responses of a draining node."""

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.qdrant.caretaker import Caretaker
from sandbox.qdrant.metadata import Collection
from sandbox.qdrant.metrics import VERSION, Responses, page
from sandbox.qdrant.node import Node
from sandbox.qdrant.wire import ServiceError

COLLECTION = "/collections/{collection_name}"
POINTS = f"{COLLECTION}/points"


@dataclass(frozen=True)
class Call:
    """One request, taken apart."""

    node: Node
    path: dict[str, Any]
    query: Mapping[str, str]
    body: Any

    @property
    def name(self) -> str:
        return str(self.path["collection_name"])

    @property
    def collection(self) -> Collection:
        return self.node.metadata.collection(self.name)

    @property
    def done(self) -> dict[str, Any]:
        waited = self.query.get("wait") == "true"
        return {"operation_id": 0, "status": "completed" if waited else "acknowledged"}

    @property
    def seconds(self) -> float:
        return float(self.query.get("timeout") or 10)

    async def propose(self, do: str, **arguments: Any) -> bool:
        await self.node.raft.propose(do, self.seconds, **arguments)
        return True


Actions = dict[str, Callable[[Call], Any]]  # by method and path


@dataclass(frozen=True)
class Keys:
    """Without a configured key no request needs one."""

    full: str | None
    reading: str | None

    def refuse(self, request: Request, writes: bool) -> Response | None:
        given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not (self.full or self.reading) or (given and given == self.full):
            return None
        if not given:
            return PlainTextResponse("Must provide an API key or an Authorization bearer token", 401)
        if given != self.reading:
            return PlainTextResponse("Invalid API key or JWT", 401)
        return _json(403, {"status": {"error": "Forbidden: Global manage access is required"}}) if writes else None


def _json(status: int, body: Any) -> Response:
    text = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    return Response(text, status, media_type="application/json")


async def _result(call: Call, action: Callable[[Call], Any], path: str, writes: bool) -> Any:
    if call.node.draining and path.startswith(POINTS):  # after SIGTERM, on a connection that its client keeps
        if writes:
            return call.done  # acknowledged and lost, as in the real one
        raise ServiceError(500, "Service internal error: node is shutting down")
    result = action(call)
    return await result if inspect.isawaitable(result) else result


def app(node: Node, caretaker: Caretaker, keys: Keys, reads: Actions, writes: Actions) -> Starlette:
    responses = Responses()

    def route(key: str, action: Callable[[Call], Any], changes: bool) -> Route:
        method, path = key.split()

        async def endpoint(request: Request) -> Response:
            started = time.perf_counter()
            if refusal := keys.refuse(request, changes):
                return refusal
            try:
                body = await request.body()
                if "multipart" not in request.headers.get("content-type", ""):
                    body = orjson.loads(body or b"{}")
                call = Call(node, request.path_params, request.query_params, body)
                result = await _result(call, action, path, changes)
                if isinstance(result, bytes):
                    return Response(result)
                status, answer = 200, {"status": "ok", "result": result}
            except ServiceError as error:
                status, answer = error.status, {"status": {"error": str(error)}}
            except (LookupError, ValueError, TypeError) as error:
                status, answer = 400, {"status": {"error": f"Format error in JSON body: {error!r}"}}
            seconds = time.perf_counter() - started
            responses.add(method, path, status, seconds)
            return _json(status, answer | {"time": seconds})

        return Route(path, endpoint, methods=[method])

    async def alive(_: Request) -> Response:
        return PlainTextResponse("healthz check passed")

    async def ready(_: Request) -> Response:
        passed = await caretaker.ready()
        text = "all shards are ready" if passed else "some shards are not ready"
        return PlainTextResponse(text, 200 if passed else 503)

    async def title(_: Request) -> Response:
        return _json(200, {"title": "qdrant (stand-in of the sandbox)", "version": VERSION})

    async def metrics(request: Request) -> Response:
        return keys.refuse(request, False) or PlainTextResponse(page(node, responses))

    routes = [route(key, action, False) for key, action in reads.items()]
    routes += [route(key, action, True) for key, action in writes.items()]
    plain = {"/": title, "/healthz": alive, "/livez": alive, "/readyz": ready, "/metrics": metrics}
    return Starlette(routes=routes + [Route(path, endpoint) for path, endpoint in plain.items()])
