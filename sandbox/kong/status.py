"""The status listener: is this node up, is it ready, what has it counted."""

import json
import resource
from typing import Any

from sandbox.kong.call import JSON
from sandbox.kong.node import Node
from sandbox.kong.schemas import Row
from sandbox.kong.settings import TOKEN
from sandbox.kong.store import Memory
from sandbox.kong.wire import Request, Response, Server


def as_json(status: int, body: Any) -> Response:
    """An answer of Kong's own interfaces."""
    content = b"" if body is None else json.dumps(body).encode()
    return Response(status, [JSON, ("Access-Control-Allow-Origin", "*"), ("Server", TOKEN)], content)


class Status:
    """Answers what arrives on the status listener."""

    def __init__(self, node: Node) -> None:
        self.node = node

    async def __call__(self, request: Request) -> Response:
        path = request.target.partition("?")[0]
        if path == "/status/ready" and request.method == "POST":
            self.node.draining = b"draining" in request.body
            return as_json(204, None)
        reachable = await self.node.reachable()
        if path == "/metrics":
            text = self.node.metrics.render(self.node, reachable)
            return Response(200, [("Content-Type", "text/plain; charset=UTF-8")], text.encode())
        if path == "/status/ready":
            wrong = "draining" if self.node.draining else self._unready(reachable)
            return as_json(503 if wrong else 200, {"message": wrong or "ready"})
        return as_json(200, _state(reachable)) if path == "/status" else as_json(404, {"message": "Not found"})

    def _unready(self, reachable: bool) -> str:
        if not reachable:
            return "failed to connect to database"
        empty = isinstance(self.node.store, Memory) and self.node.store.empty
        return "no configuration available (empty configuration present)" if empty else ""


def _state(reachable: bool) -> Row:
    connections = {"connections_active": Server.active, "connections_accepted": Server.accepted}
    connections |= {"connections_handled": Server.accepted, "total_requests": Server.requests}
    memory = {"resident_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    return {"database": {"reachable": reachable}, "server": connections, "memory": memory}
