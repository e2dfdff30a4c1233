"""Addresses of names, as late as Kong's own resolver learns of them."""

import asyncio
import contextlib
import math
import socket
import time

from sandbox.kong.settings import setting


class Resolver:
    """Asks the system; an old answer serves until there is a new one, or until it is too old."""

    def __init__(self) -> None:
        self._valid = float(setting("DNS_VALID_TTL", "1"))
        self._last = self._valid + float(setting("DNS_STALE_TTL", "3600"))
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asked: dict[str, tuple[float, asyncio.Task[None]]] = {}

    async def addresses(self, name: str) -> list[str]:
        """The IPs of `name`; none if it has not resolved for too long."""
        asked, task = self._asked.get(name, (-math.inf, None))
        if task is None or (task.done() and time.monotonic() - asked > self._valid):
            task = asyncio.create_task(self._ask(name))
            self._asked[name] = time.monotonic(), task
        if name not in self._known:
            await asyncio.shield(task)
        answered, ips = self._known.get(name, (-math.inf, []))
        return ips if time.monotonic() - answered < self._last else []

    async def _ask(self, name: str) -> None:
        with contextlib.suppress(OSError):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
            self._known[name] = time.monotonic(), sorted({str(entry[4][0]) for entry in found})
