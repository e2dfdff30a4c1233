"""Messages between nodes: length-prefixed JSON on a kept connection to each peer (the real one speaks gRPC here)."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import orjson

Handler = Callable[[str, Any], Awaitable[Any]]
CONNECT_SECONDS = 1.0


class Failure(Exception):
    """An answer other than a result; a transient one (5xx) may go well on another replica."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text

    @property
    def transient(self) -> bool:
        return self.status >= 500


async def _receive(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return orjson.loads(await reader.readexactly(size))


def _send(writer: asyncio.StreamWriter, message: Any) -> None:
    body = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    writer.write(len(body).to_bytes(4, "big") + body)


class Link:
    """One connection that carries many questions at once, each with its number."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer, self._numbers = writer, itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._task = asyncio.create_task(self._listen(reader))

    @property
    def open(self) -> bool:
        return not self._task.done()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, EOFError):
            while True:
                number, status, body = await _receive(reader)
                if (answer := self._waiting.pop(number, None)) and not answer.done():
                    answer.set_result(body) if status == 200 else answer.set_exception(Failure(status, body))
        for answer in self._waiting.values():
            answer.done() or answer.set_exception(Failure(503, "connection lost"))
        self._writer.close()

    async def ask(self, subject: str, body: Any) -> Any:
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            _send(self._writer, [number, subject, body])
            return await answer
        finally:
            self._waiting.pop(number, None)


class Peers:
    """Asks other nodes by address, and remembers which of them are silent and how often sending failed."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self.silent: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, dict[str, Any]] = {}

    async def ask(self, uri: str, subject: str, body: Any, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await (await self._link(uri)).ask(subject, body)
        except (OSError, TimeoutError) as error:
            self._note(uri, f"{subject}: {type(error).__name__} {error}")
            self._links.pop(uri, None)  # what already travels on it may still arrive; the next question connects anew
            raise Failure(503, f"{uri} does not answer to {subject}") from error

    async def _link(self, uri: str) -> Link:
        link = self._links.get(uri)
        if link is None or not link.open:
            at = urlsplit(uri)
            async with asyncio.timeout(CONNECT_SECONDS):
                link = self._links[uri] = Link(*await asyncio.open_connection(at.hostname, at.port, limit=1 << 20))
        return link

    def _note(self, uri: str, error: str) -> None:
        count = self.failures.get(uri, {"count": 0})["count"] + 1
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.failures[uri] = {"count": count, "latest_error": error, "latest_error_timestamp": now}
        if uri not in self.silent:
            self.silent[uri] = asyncio.create_task(self._wait_for(uri))

    async def _wait_for(self, uri: str) -> None:
        """A silent peer is called again from here, never at the cost of somebody's read."""
        while True:
            await asyncio.sleep(0.3)
            with suppress(Failure):
                await self.ask(uri, "ping", None, CONNECT_SECONDS)
                self.failures.pop(uri, None)
                del self.silent[uri]
                return


async def serve(port: int, handle: Handler) -> asyncio.Server:
    """Answers other nodes on `port`, every question in a task of its own."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(writer: asyncio.StreamWriter, number: int, subject: str, body: Any) -> None:
        try:
            reply = [number, 200, await handle(subject, body)]
        except Failure as failure:
            reply = [number, failure.status, failure.text]
        _send(writer, reply)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while True:
                task = asyncio.create_task(answer(writer, *await _receive(reader)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        writer.close()

    return await asyncio.start_server(connected, "0.0.0.0", port, limit=1 << 20)
