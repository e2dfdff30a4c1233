"""The proxy: flood limit, route, plugins, upstream, and the headers Kong puts on both sides."""

import logging
import time
from http import HTTPStatus

from sandbox.kong.call import Call, ExitError, client_address, fault, size, trusted
from sandbox.kong.flood import Flood
from sandbox.kong.health import Balancer, Peer
from sandbox.kong.node import BY_PRIORITY, Node
from sandbox.kong.plugins import ACCESS, cors_headers, is_preflight
from sandbox.kong.router import Match, normal, upstream_path
from sandbox.kong.settings import TOKEN, setting
from sandbox.kong.tracing import send_span
from sandbox.kong.wire import Headers, Request, Response, UnreachableError, first, without

FORWARDED = ("proto", "host", "port", "path", "prefix")
REPLACED = (*(f"x-forwarded-{name}" for name in FORWARDED), "x-forwarded-for", "x-real-ip", "x-kong-request-id", "via")
HOP_BY_HOP = ("host", "connection", "keep-alive", "te", "upgrade", "transfer-encoding", "content-length", "expect")
DROPPED = (*REPLACED, *HOP_BY_HOP, "proxy", "proxy-connection")
ONCE_ONLY = ("POST", "LOCK", "PATCH")  # nginx does not repeat these after they were sent
NGINX_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)


class Proxy:
    """Answers what arrives on the proxy listeners."""

    def __init__(self, node: Node) -> None:
        self.node, self.flood = node, Flood()

    async def __call__(self, request: Request) -> Response:
        started, sent = time.perf_counter(), None
        path, _, query = request.target.partition("?")
        client = client_address(request.peer, request.headers)
        call = Call(request, normal(path), query, client, size(request.headers, request.body))
        try:
            self._refuse_floods(call)
            _refuse_large(call)
            await self._access(call)
            sent = time.perf_counter()
            response = await self._forward(call)
        except ExitError as own:
            response, sent = own.args[0], None
        now = time.perf_counter()
        latencies = {"request": round((now - started) * 1000), "kong": round(((sent or now) - started) * 1000)}
        latencies |= {"upstream": round((now - sent) * 1000)} if sent else {}
        added = call.answer + _kong_headers(call, response, latencies)
        response.headers = without(response.headers, "via") + added
        if "prometheus" in call.plugins:
            self.node.metrics.log(call, response, latencies)
        if "opentelemetry" in call.plugins:
            send_span(call, response, self.node)
        return response

    def _refuse_floods(self, call: Call) -> None:
        if not self.flood.refuses(call.client):
            return
        if self.flood.worded_by_kong:
            unavailable = "The upstream server is currently unavailable"
            status = self.flood.status
            raise call.refuse(status, unavailable if status == 503 else f"The upstream server responded with {status}")
        title = f"{self.flood.status} {HTTPStatus(self.flood.status).phrase}"
        raise ExitError(Response(self.flood.status, [("Content-Type", "text/html")], NGINX_PAGE.format(title).encode()))

    async def _access(self, call: Call) -> None:
        """Find the route and run its plugins; after one of them answered the others only see the answer."""
        match = call.match = self.node.router.match(call.request, call.path)
        if not match:
            raise call.refuse(404, "no Route matched with those values")
        if call.request.scheme == "http" and match.route["protocols"] == ["https"]:
            raise call.refuse(426, "Please use HTTPS protocol")
        answered: ExitError | None = None
        for name in BY_PRIORITY:
            consumer = (call.consumer or {}).get("id", "")
            plugin = self.node.plugin(name, match.route["id"], match.service["id"], consumer)
            if plugin:
                call.plugins[name] = plugin["config"]
            if plugin and not answered and name in ACCESS:
                try:
                    await ACCESS[name](call, plugin, self.node)
                except ExitError as error:
                    answered = error
                except Exception:  # a plugin's fault spoils its call, and no other
                    logging.exception("in plugin %s", name)
                    answered = fault()
        if "cors" in call.plugins and not is_preflight(call):
            call.answer += cors_headers(call, call.plugins["cors"])
        if answered:
            raise answered

    async def _forward(self, call: Call) -> Response:
        """The upstream's answer; another address is tried while that may help and cannot do harm."""
        match = call.match
        assert match
        service, tried = match.service, list[Peer]()
        balancer, failed = self.node.balancers.get(service["host"]), UnreachableError(False, False)
        for _ in range(service["retries"] + 1):
            peer = await self._peer(call, balancer, tried)
            tried.append(peer)
            request = _upstream_request(call, match, peer, balancer)
            try:
                connect, read = service["connect_timeout"] / 1000, service["read_timeout"] / 1000
                in_parts = not match.route["response_buffering"]
                response = await self.node.client.fetch(peer.ip, peer.port, request, connect, read, in_parts=in_parts)
            except UnreachableError as error:
                failed = error
                if balancer:
                    peer.saw("timeouts" if error.timed_out else "tcp_failures", balancer.checks["passive"])
                if error.sent and request.method in ONCE_ONLY:
                    break
            else:
                if balancer:
                    peer.saw_status(response.status, balancer.checks["passive"])
                return response
        if failed.timed_out:
            raise call.refuse(504, "The upstream server is timing out")
        raise call.refuse(502, "An invalid response was received from the upstream server")

    async def _peer(self, call: Call, balancer: Balancer | None, tried: list[Peer]) -> Peer:
        assert call.match
        if balancer:
            peer = await balancer.pick(tried)
            if peer:
                return peer
            again = "The upstream server is currently unavailable"
            raise call.refuse(503, again if tried else "failure to get a peer from the ring-balancer")
        service = call.match.service
        addresses = await self.node.client.resolver.addresses(service["host"])
        if not addresses:
            raise call.refuse(503, "name resolution failed")
        return Peer(service["host"], addresses[len(tried) % len(addresses)], service["port"], 1)


def _refuse_large(call: Call) -> None:
    """What nginx does before any plugin, with the limit injected into it; 0 is none."""
    limit = setting("NGINX_PROXY_CLIENT_MAX_BODY_SIZE", setting("NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "0"))
    most = int(limit.rstrip("kmg")) * {"k": 2**10, "m": 2**20, "g": 2**30}.get(limit[-1], 1)
    if most and len(call.request.body) > most:
        raise call.refuse(413, "Payload too large")


def _kong_headers(call: Call, response: Response, latencies: dict[str, int]) -> Headers:
    """The headers that Kong adds for the client: server, and latencies."""
    own = [("X-Kong-Request-Id", call.id)]
    own += [] if first(response.headers, "server") else [("Server", TOKEN)]
    if "upstream" not in latencies:
        return [*own, ("X-Kong-Response-Latency", str(latencies["request"]))]
    spent = {"X-Kong-Upstream-Latency": latencies["upstream"], "X-Kong-Proxy-Latency": latencies["kong"]}
    return [*own, *((name, str(value)) for name, value in spent.items()), _via(response.headers)]


def _via(headers: Headers) -> tuple[str, str]:
    return "Via", ", ".join(filter(None, (first(headers, "via"), f"1.1 {TOKEN}")))


def _upstream_request(call: Call, match: Match, peer: Peer, balancer: Balancer | None) -> Request:
    """The request for the upstream: the call as plugins left it, and Kong's forwarding headers."""
    request, given = call.request, call.request.headers
    asked_host = first(given, "host")
    name = (balancer.upstream["host_header"] if balancer else None) or peer.host
    port = "" if peer.port == {"http": 80, "https": 443}.get(match.service["protocol"]) else f":{peer.port}"
    actual = {"proto": request.scheme, "host": asked_host.partition(":")[0], "port": str(request.port)}
    actual |= {"path": request.target.partition("?")[0], "prefix": match.prefix.rstrip("/")}
    believed = trusted(request.peer)
    forwarded = {n: (believed and first(given, f"x-forwarded-{n}")) or actual[n] for n in FORWARDED}
    chain = ", ".join(filter(None, (first(given, "x-forwarded-for"), request.peer)))
    headers = [
        ("Host", asked_host if match.route["preserve_host"] else f"{name}{port}"),
        ("Connection", "keep-alive"),
        *((f"X-Forwarded-{n.title()}", value) for n, value in forwarded.items() if value),
        ("X-Forwarded-For", chain if first(given, "x-forwarded-for") else call.client),
        ("X-Real-IP", call.client),
        ("X-Kong-Request-Id", call.id),
        _via(given),
    ]
    target = upstream_path(match, call.path) + (f"?{call.query}" if call.query else "")
    scheme = "https" if match.service["protocol"] == "https" else "http"
    return Request(request.method, target, headers + without(given, *DROPPED), request.body, scheme=scheme)
