"""Messages between nodes: length-prefixed JSON on kept connections (the real one speaks gRPC here)."""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import orjson

CONNECT_SECONDS, PING_SECONDS = 1.0, 0.3
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ServiceError(Exception):
    """An answer other than a result; a transient one (5xx) may go well on another replica."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.transient = status, status >= 500


async def _receive(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return orjson.loads(await reader.readexactly(size))


def _send(writer: asyncio.StreamWriter, message: Any) -> None:
    body = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    writer.write(len(body).to_bytes(4, "big") + body)


async def serve(port: int, answer: Callable[[str, Any], Awaitable[Any]]) -> asyncio.Server:
    """Answers other nodes, one request after another on each connection."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while True:
                try:
                    _send(writer, (200, await answer(*await _receive(reader))))
                except ServiceError as error:
                    _send(writer, (error.status, str(error)))
        writer.close()

    return await asyncio.start_server(connected, "0.0.0.0", port)  # noqa: S104  a container's port


class Peers:
    """Asks other nodes by address, and remembers which of them are silent and how often sending failed."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Streams]] = defaultdict(list)
        self._looking_up: dict[str, asyncio.Task[str]] = {}
        self.silent: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, dict[str, Any]] = {}

    async def ask(self, uri: str, subject: str, body: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                status, answer = await self._exchange(uri, (subject, body))
        except (OSError, EOFError) as error:  # a TimeoutError is an OSError
            self._note(uri, f"{subject}: {error!r}")
            raise ServiceError(503, f"{uri} does not answer to {subject}") from error
        if status != 200:
            raise ServiceError(status, answer)
        return answer

    async def _exchange(self, uri: str, question: tuple[str, Any]) -> Any:
        reader, writer = await self._connection(uri)
        try:
            _send(writer, question)
            answer = await _receive(reader)
        except BaseException:  # also when the time is over: a late answer must not be taken for the next one
            writer.close()
            raise
        self._idle[uri].append((reader, writer))
        return answer

    async def _connection(self, uri: str) -> Streams:
        while self._idle[uri]:
            reader, writer = self._idle[uri].pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
        at = urlsplit(uri)
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(await self._address(str(at.hostname)), at.port)

    async def _address(self, host: str) -> str:
        """One look-up per name at a time: that of a stopped container can hang, and threads for it are few."""
        if host not in self._looking_up:
            self._looking_up[host] = asyncio.create_task(asyncio.to_thread(socket.gethostbyname, host))
            self._looking_up[host].add_done_callback(lambda done: self._looking_up.pop(host) and done.exception())
        return await asyncio.shield(self._looking_up[host])

    def _note(self, uri: str, error: str) -> None:
        count = self.failures.get(uri, {"count": 0})["count"] + 1
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.failures[uri] = {"count": count, "latest_error": error, "latest_error_timestamp": now}
        if uri not in self.silent:
            self.silent[uri] = asyncio.create_task(self._call_until_it_answers(uri))

    async def _call_until_it_answers(self, uri: str) -> None:
        """A silent peer is called from here, so that no read waits for it."""
        answered = False
        while not answered:
            await asyncio.sleep(PING_SECONDS)
            with suppress(ServiceError):
                answered = await self.ask(uri, "ping", None, CONNECT_SECONDS) is not None
        del self.silent[uri], self.failures[uri]
