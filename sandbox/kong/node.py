"""One Kong node: its snapshots of routes, plugins and upstreams, and how late they follow changes."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.kong.health import Balancer
from sandbox.kong.metrics import Metrics
from sandbox.kong.plugin_schemas import PLUGINS
from sandbox.kong.redis import Redis
from sandbox.kong.router import Router
from sandbox.kong.schemas import Row
from sandbox.kong.settings import setting
from sandbox.kong.store import DownError, Memory, Postgres
from sandbox.kong.wire import Client

# Which scope of a plugin goes before which: (on the route, on the service, on the consumer).
SCOPES = ((1, 1, 1), (1, 0, 1), (0, 1, 1), (1, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0))
BY_PRIORITY = sorted(PLUGINS, key=lambda name: -PLUGINS[name].priority)


class Node:
    """Serves from snapshots, so that it goes on without its database."""

    def __init__(self, store: Postgres | Memory) -> None:
        self.store, self.client, self.metrics = store, Client(), Metrics()
        self.id, self.draining = str(uuid.uuid4()), False
        self.router = Router([], [])
        self.plugins: dict[tuple[str, ...], Row] = {}
        self.balancers: dict[str, Balancer] = {}
        self.counters: dict[tuple[Any, ...], int] = {}  # of rate-limiting's local policy
        self.redis = Redis(self.client.resolver)  # of its redis policy
        self._known: dict[tuple[str, str], list[Row]] = {}
        self._timers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read everything once, then refresh routes and plugins independently of each other."""
        for rebuild in (self.learn_routes, self.learn_plugins):
            await rebuild()
            if isinstance(self.store, Postgres):
                self._timers.append(asyncio.create_task(self._now_and_then(rebuild)))
        await self.changed("upstreams")

    async def _now_and_then(self, rebuild: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(random.uniform(0, float(setting("WORKER_STATE_UPDATE_FREQUENCY", "5"))))
            with contextlib.suppress(DownError):
                await rebuild()

    async def learn_routes(self) -> None:
        """Take the routes and services as they are now."""
        self.router = Router(await self.store.rows("routes"), await self.store.rows("services"))

    async def learn_plugins(self) -> None:
        """Take the plugins as they are now."""
        scopes = ("route", "service", "consumer")
        rows = [row for row in await self.store.rows("plugins") if row["enabled"]]
        self.plugins = {(row["name"], *((row[scope] or {"id": ""})["id"] for scope in scopes)): row for row in rows}

    async def changed(self, kind: str) -> None:
        """Read at once what Kong reads at once: credentials, and the targets of an upstream."""
        if kind in ("consumers", "acls", "jwt_secrets"):
            self._known.clear()
        if kind in ("upstreams", "targets"):
            targets = await self.store.rows("targets")
            upstreams = {upstream["name"]: upstream for upstream in await self.store.rows("upstreams")}
            old, self.balancers = self.balancers, {}
            for name, upstream in upstreams.items():
                mine = [target for target in targets if target["upstream"]["id"] == upstream["id"]]
                self.balancers[name] = Balancer(upstream, mine, self.client, old.get(name))
            for balancer in old.values():
                balancer.stop()

    def plugin(self, name: str, route: str, service: str, consumer: str) -> Row | None:
        """The most particular of a plugin's configurations."""
        for on_route, on_service, on_consumer in SCOPES:
            scope = (name, route * on_route, service * on_service, consumer * on_consumer)
            if scope in self.plugins:
                return self.plugins[scope]
        return None

    async def known(self, kind: str, field: str, value: str) -> Row | None:
        """A consumer or credential, kept once it was asked for, as is that there is none; raises DownError."""
        if (kind, value) not in self._known:
            self._known[kind, value] = [row for row in await self.store.rows(kind) if row[field] == value]
        return next(iter(self._known[kind, value]), None)

    async def reachable(self) -> bool:
        """Whether the database answers; without one, always."""
        try:
            return isinstance(self.store, Memory) or await self.store.bootstrapped()
        except DownError:
            return False
