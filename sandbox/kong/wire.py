"""HTTP/1.1 on asyncio streams: a framework's server and client take longer than Kong may.

Messages are whole, but for answers of routes without response buffering, which pass in parts.
"""

import asyncio
import logging
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from sandbox.kong.names import Resolver

Headers = list[tuple[str, str]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
UNVERIFIED = ssl._create_unverified_context()  # noqa: S323 - Kong does not verify upstreams either, unless configured to
BROKEN = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)  # the errors of a bad or lost peer


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
    parts: AsyncIterator[bytes] | None = None  # in place of a body


class UnreachableError(Exception):
    """No answer came; `sent`: the upstream may have received the request; `timed_out`: the time was over."""

    def __init__(self, sent: bool, timed_out: bool) -> None:
        super().__init__(sent, timed_out)
        self.sent, self.timed_out = sent, timed_out


def first(headers: Headers, name: str) -> str:
    """The first value of the header `name`, given in lower case; empty if there is none."""
    return next((value for key, value in headers if key.lower() == name), "")


def without(headers: Headers, *names: str) -> Headers:
    """The headers that have none of these lower-case names."""
    return [(key, value) for key, value in headers if key.lower() not in names]


def _render(start: str, headers: Headers, body: bytes) -> bytes:
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in headers), "\r\n"]).encode("latin-1") + body


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, str, Headers]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip("\r\n").split("\r\n")
    one, two, three = f"{start} ".split(" ", 2)
    return one, two, three.strip(), [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines)]


async def _body(reader: asyncio.StreamReader, headers: Headers, *, until_closed: bool) -> bytes:
    if length := first(headers, "content-length"):
        return await reader.readexactly(int(length))
    if first(headers, "transfer-encoding").lower() != "chunked":
        return await reader.read() if until_closed else b""
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while (await reader.readline()).strip():
        pass  # trailers
    return body


async def _parts(streams: Streams, headers: Headers, read: float) -> AsyncIterator[bytes]:
    """What comes, as it comes, until the end; the connection ends with it."""
    reader, writer = streams
    chunked = first(headers, "transfer-encoding").lower() == "chunked"
    try:
        while True:
            async with asyncio.timeout(read):
                size = int((await reader.readline()).split(b";")[0], 16) if chunked else 65536
                part = (await reader.readexactly(size + 2))[:-2] if chunked else await reader.read(size)
            if not part:
                return
            yield part
    finally:
        writer.close()


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
            pass  # the client is gone
        finally:
            Server.active -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        method, target, version, headers = await _head(reader)
        if first(headers, "expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _body(reader, headers, until_closed=False)
        peer, port, tls = (writer.get_extra_info(name) for name in ("peername", "sockname", "ssl_object"))
        Server.requests += 1
        Server.busy += 1
        try:
            scheme = "https" if tls else "http"
            response = await self.handler(Request(method, target, headers, body, peer[0], port[1], scheme))
        except Exception:
            logging.exception("%s %s", method, target)
            response = Response(500, [], b'{"message":"An unexpected error occurred"}')
        finally:
            Server.busy -= 1
        keep = version == "HTTP/1.1" and first(headers, "connection").lower() != "close"
        if response.parts and method != "HEAD":
            await _send_parts(writer, response)
            return False
        length = first(response.headers, "content-length") if method == "HEAD" else str(len(response.body))
        answer = without(response.headers, "transfer-encoding", "connection", "content-length")
        answer += [("Content-Length", length)] if length and response.status not in (204, 304) else []
        answer.append(("Connection", "keep-alive" if keep else "close"))
        phrase = next((status.phrase for status in HTTPStatus if status == response.status), "")
        body = b"" if method == "HEAD" else response.body
        writer.write(_render(f"HTTP/1.1 {response.status} {phrase}", answer, body))
        await writer.drain()
        return keep


async def _send_parts(writer: asyncio.StreamWriter, response: Response) -> None:
    assert response.parts
    phrase = next((status.phrase for status in HTTPStatus if status == response.status), "")
    answer = without(response.headers, "transfer-encoding", "connection", "content-length")
    answer += [("Transfer-Encoding", "chunked"), ("Connection", "close")]
    writer.write(_render(f"HTTP/1.1 {response.status} {phrase}", answer, b""))
    async for part in response.parts:
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


class Client:
    """Asks upstream servers, keeping their connections alive."""

    def __init__(self) -> None:
        self.resolver = Resolver()
        self._idle: defaultdict[tuple[str, int, str], list[Streams]] = defaultdict(list)

    async def fetch(
        self, ip: str, port: int, request: Request, connect: float, read: float, *, in_parts: bool = False
    ) -> Response:
        """The answer of ip:port, within so many seconds; raises UnreachableError.

        `in_parts`: one whose length is not known is returned when it begins, and each of its parts has the time.
        """
        idle, streams = self._idle[ip, port, request.scheme], None
        try:
            while idle and streams is None:
                streams = idle.pop()
                streams = None if streams[0].at_eof() else streams
            if streams is None:
                tls = UNVERIFIED if request.scheme == "https" else None
                async with asyncio.timeout(connect):
                    streams = await asyncio.open_connection(ip, port, ssl=tls)
            async with asyncio.timeout(read):
                response, keep = await _ask(*streams, request, in_parts=in_parts, read=read)
        except BROKEN as error:
            if streams:
                streams[1].close()
            raise UnreachableError(sent=bool(streams), timed_out=isinstance(error, TimeoutError)) from error
        if not response.parts:
            idle.append(streams) if keep else streams[1].close()
        return response


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, *, in_parts: bool, read: float
) -> tuple[Response, bool]:
    length = [("Content-Length", str(len(request.body)))] if request.body or request.method in ("POST", "PUT") else []
    writer.write(_render(f"{request.method} {request.target} HTTP/1.1", request.headers + length, request.body))
    status = "1xx"
    while status.startswith("1"):
        version, status, _, headers = await _head(reader)
    bodiless = request.method == "HEAD" or status in ("204", "304")
    framed = bodiless or first(headers, "content-length") or first(headers, "transfer-encoding")
    if in_parts and not bodiless and not first(headers, "content-length"):
        return Response(int(status), headers, parts=_parts((reader, writer), headers, read)), False
    body = b"" if bodiless else await _body(reader, headers, until_closed=True)
    keep = framed and version == "HTTP/1.1" and first(headers, "connection").lower() != "close"
    return Response(int(status), headers, body), bool(keep)
