"""The Admin API: entities by kind and name, alone or under what they belong to."""

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.kong.entities import RefusedError, remove, shown, write
from sandbox.kong.entity_schemas import KINDS
from sandbox.kong.health import Balancer
from sandbox.kong.node import BY_PRIORITY, Node
from sandbox.kong.plugin_schemas import PLUGINS
from sandbox.kong.schemas import Row
from sandbox.kong.settings import VERSION, setting
from sandbox.kong.status import Status, as_json
from sandbox.kong.store import DownError, Memory
from sandbox.kong.wire import Headers, Request, Response, first, without

PATHS = {"jwt": "jwt_secrets", "jwts": "jwt_secrets"}
CHANGES = {"POST": "create", "PATCH": "update", "DELETE": "remove"}
Answer = tuple[int, Any]


class Guard:
    """What nginx does before the Admin API, where a file is included into its server: a header must have a value."""

    KNOWN = re.compile(
        r"""\s*default_type (?P<type>\S+);
\s*if \(\$http_(?P<header>\w+) != "(?P<value>[^"$]*)"\) \{
\s*return (?P<status>\d+) '(?P<body>[^'$]*)';
\s*\}\s*"""
    )

    def __init__(self, directives: str) -> None:
        found = self.KNOWN.fullmatch(directives)
        if not found:
            raise ValueError("nginx directives that this stand-in does not know, included into the Admin API's server")
        self._rule = found

    @classmethod
    def included(cls) -> "Guard | None":
        """That of the file which KONG_NGINX_ADMIN_INCLUDE names, if any; OSError when it is not there, as in nginx."""
        path = setting("NGINX_ADMIN_INCLUDE")
        return cls(Path(path).read_text()) if path else None

    def refusal(self, request: Request) -> Response | None:
        """The response of nginx itself, for a preflight too, and without CORS headers."""
        sent = [value for name, value in request.headers if name.lower().replace("-", "_") == self._rule["header"]]
        if ", ".join(sent) == self._rule["value"]:
            return None
        return Response(int(self._rule["status"]), [("Content-Type", self._rule["type"])], self._rule["body"].encode())


def _cors(request: Request) -> Headers:
    """The page's own origin, unless KONG_ADMIN_GUI_URL names others; then one of those."""
    urls = [urlsplit(url.strip()) for url in setting("ADMIN_GUI_URL").split(",") if url.strip()]
    allowed, asked = [f"{url.scheme}://{url.netloc}" for url in urls], first(request.headers, "origin")
    origin = (asked if asked in allowed else allowed[0]) if allowed else asked or "*"
    headers = [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
    wanted = first(request.headers, "access-control-request-headers")
    asks = request.method == "OPTIONS" and wanted
    return headers + [("Access-Control-Allow-Headers", wanted)] * bool(asks)


def _options(parts: list[str]) -> Response:
    methods = "GET, HEAD, OPTIONS, POST" if len(parts) % 2 else "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    return Response(204, [("Allow", methods), ("Access-Control-Allow-Methods", methods)])


class Admin:
    """Answers what arrives on the Admin API's listeners, changes one at a time."""

    def __init__(self, node: Node) -> None:
        self.node, self._status, self._turn, self._guard = node, Status(node), asyncio.Lock(), Guard.included()

    async def __call__(self, request: Request) -> Response:
        if self._guard and (refusal := self._guard.refusal(request)):
            return refusal
        response = await self._response(request)
        response.headers = without(response.headers, "access-control-allow-origin") + _cors(request)
        return response

    async def _response(self, request: Request) -> Response:
        path, _, query = request.target.partition("?")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if request.method == "OPTIONS":
            return _options(parts)
        if parts[0] in ("metrics", "status"):
            return await self._status(request)
        answer: Answer
        try:
            if request.method in ("GET", "HEAD"):
                answer = await self._read(parts, dict(parse_qsl(query)))
            else:
                async with self._turn:
                    answer = await self._change(request, parts)
        except RefusedError as refused:
            answer = refused.args[0], refused.args[1]
        except DownError as down:
            print(down, flush=True)
            answer = 500, {"message": "An unexpected error occurred"}
        return as_json(*answer)

    async def _about(self) -> Row:
        """The node's information, which names it a stand-in."""
        used = sorted({row["name"] for row in await self.node.store.rows("plugins")})
        available = {name: {"version": VERSION, "priority": PLUGINS[name].priority} for name in BY_PRIORITY}
        return {
            "tagline": "Welcome to the sandbox's stand-in for kong",
            "version": VERSION,
            "hostname": socket.gethostname(),
            "node_id": self.node.id,
            "plugins": {"available_on_server": available, "enabled_in_cluster": used},
            "configuration": {"database": setting("DATABASE", "postgres"), "role": "traditional"},
        }

    async def _located(self, parts: list[str]) -> tuple[str, Row, list[Row]]:
        """What a collection's path names: a kind, the owner's reference if there is one, and all rows of both."""
        kind, owner = PATHS.get(parts[-1], parts[-1]), {}
        if len(parts) > 1:
            _, _, owners = await self._located(parts[:1])
            owner = {parts[0].removesuffix("s"): {"id": _named(parts[0], owners, parts[1])["id"]}}
        if kind not in KINDS or not owner.keys() <= KINDS[kind].schema.keys():
            raise _nothing()
        return kind, owner, [row for row in await self.node.store.rows(kind) if owner.items() <= row.items()]

    async def _read(self, parts: list[str], query: dict[str, str]) -> Answer:
        if parts == [""]:
            return 200, await self._about()
        if parts[0] == "upstreams" and parts[2:] == ["health"]:
            _, _, targets = await self._located([*parts[:2], "targets"])
            data = [self._balancer(target).health(target) for target in targets]
            return 200, {"data": data, "next": None, "node_id": self.node.id}
        if len(parts) % 2:
            kind, _, rows = await self._located(parts)
            return 200, _page("/".join(parts), [shown(kind, row) for row in rows], query)
        kind, _, rows = await self._located(parts[:-1])
        return 200, shown(kind, _named(kind, rows, parts[-1]))

    async def _change(self, request: Request, parts: list[str]) -> Answer:
        if request.method == "PUT" and parts[-1] in ("healthy", "unhealthy"):
            return await self._mark(parts)
        key = "" if len(parts) % 2 else parts[-1]
        kind, owner, rows = await self._located(parts[:-1] if key else parts)
        if request.method not in CHANGES or bool(key) == (request.method == "POST"):
            return 405, {"message": "Method not allowed"}
        store = self.node.store
        if isinstance(store, Memory):
            message = f"cannot {CHANGES[request.method]} '{kind}' entities when not using a database"
            return 405, {"code": 12, "name": "operation unsupported", "message": message}
        answer: Answer = (204, None)
        if request.method == "PATCH":
            answer = 200, shown(kind, await write(store, kind, _body(request), _named(kind, rows, key)))
        elif request.method == "DELETE":
            for row in [row for row in rows if key in (row["id"], row[KINDS[kind].key])]:
                await remove(store, kind, row)
        else:
            answer = 201, shown(kind, await write(store, kind, _body(request) | owner))
        await self.node.changed(kind)
        return answer

    async def _mark(self, parts: list[str]) -> Answer:
        """Mark a target as healthy or not, whatever its checks found."""
        _, _, targets = await self._located(parts[:3])
        target = _named("targets", targets, parts[3])
        self._balancer(target).mark(target["target"], healthy=parts[-1] == "healthy")
        return 204, None

    def _balancer(self, target: Row) -> Balancer:
        return next(b for b in self.node.balancers.values() if target["upstream"]["id"] == b.upstream["id"])


def _nothing() -> RefusedError:
    return RefusedError(404, {"message": "Not found"})


def _named(kind: str, rows: list[Row], key: str) -> Row:
    for row in rows:
        if key in (row["id"], row[KINDS[kind].key]):
            return row
    raise _nothing()


def _page(path: str, rows: list[Row], query: dict[str, str]) -> Row:
    """A list, a hundred at a time unless the query asks for more or less."""
    start, size = int(query.get("offset", 0)), int(query.get("size", 100))
    end = start + size
    more = {"next": None} if end >= len(rows) else {"next": f"/{path}?offset={end}", "offset": str(end)}
    return {"data": rows[start:end], **more}


def _body(request: Request) -> Row:
    """JSON, or a form, which a browser sends for any page without asking first."""
    kind = first(request.headers, "content-type").lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        return {name: int(value) if value.isdigit() else value for name, value in parse_qsl(request.body.decode())}
    if kind and not kind.startswith("application/json"):
        raise RefusedError(415, {"message": "Unsupported media type"})
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(400, {"message": "Cannot parse JSON body"})
    return body
