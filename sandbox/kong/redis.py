"""The Redis that rate-limiting counts in: each step of an exchange within the plugin's own time-out, as in Kong."""

import asyncio
from collections import defaultdict
from typing import Any

from sandbox.kong.names import Resolver
from sandbox.kong.schemas import Row
from sandbox.kong.wire import Streams

COUNT = """
local used = redis.call("incr", KEYS[1])
if used == 1 then redis.call("expire", KEYS[1], ARGV[1]) end
return used - 1
"""


class Redis:
    """Counts calls; raises an error of `wire.BROKEN` when the server does not answer in time, or refuses."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._idle: defaultdict[tuple[str, int], list[Streams]] = defaultdict(list)

    async def usage(self, config: Row, key: tuple[Any, ...], seconds: int) -> int:
        """How many calls had that key within its window, before this one, which is counted with the look."""
        where, timeout = (config["host"], config["port"]), config["timeout"] / 1000
        idle = self._idle[where]
        streams = idle.pop() if idle else await self._connected(config, timeout)
        try:
            used = await _ask(
                streams, timeout, "EVAL", COUNT, "1", "ratelimit:" + ":".join(map(str, key)), str(seconds)
            )
        except BaseException:
            streams[1].close()
            raise
        idle.append(streams)
        return int(used)

    async def _connected(self, config: Row, timeout: float) -> Streams:
        addresses = await self._resolver.addresses(config["host"])
        if not addresses:
            raise OSError(f"{config['host']}: name resolution failed")
        async with asyncio.timeout(timeout):
            streams = await asyncio.open_connection(addresses[0], config["port"])
        try:
            if config["password"]:
                names = [config["username"]] if config["username"] else []
                await _ask(streams, timeout, "AUTH", *names, config["password"])
            if config["database"]:
                await _ask(streams, timeout, "SELECT", str(config["database"]))
        except BaseException:
            streams[1].close()
            raise
        return streams


async def _ask(streams: Streams, timeout: float, *words: str) -> str:
    reader, writer = streams
    parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)]
    writer.write(b"".join(parts))
    async with asyncio.timeout(timeout):
        line = (await reader.readuntil(b"\r\n")).decode().strip()
    if not line.startswith(("+", ":")):
        raise OSError(f"Redis answered {line}")
    return line[1:]
