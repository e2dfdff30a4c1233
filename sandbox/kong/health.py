"""Upstreams: which addresses their targets have, which of them are healthy, and whose turn it is."""

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.kong.schemas import Row
from sandbox.kong.settings import TOKEN
from sandbox.kong.wire import Client, Request, Unreachable

DNS_SECONDS = 1.0


class Resolver:
    """Addresses of names by the system's resolver; the last good answer outlives a failure."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, list[str]]] = {}

    async def addresses(self, name: str) -> list[str]:
        """The IPs of `name`, empty if it never resolved."""
        asked, ips = self._known.get(name, (0.0, []))
        if time.monotonic() - asked > DNS_SECONDS or not asked:
            with contextlib.suppress(OSError):
                found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM, family=socket.AF_INET)
                ips = sorted({str(entry[4][0]) for entry in found})
            self._known[name] = (time.monotonic(), ips)
        return ips


@dataclass
class Peer:
    """One address of a target, and what was last seen of it."""

    ip: str
    port: int
    weight: int
    healthy: bool = True
    seen: dict[str, int] = field(default_factory=dict)
    credit: int = 0

    def saw(self, what: str, limits: Row) -> None:
        """Count one observation; at its limit the peer changes sides. A limit of 0 does not count."""
        limit = limits["healthy" if what == "successes" else "unhealthy"][what]
        if not limit or self.healthy == (what == "successes"):
            self.seen = {} if what == "successes" and limit else self.seen
            return
        self.seen[what] = self.seen.get(what, 0) + 1
        if what != "successes":
            self.seen.pop("successes", None)
        if self.seen[what] >= limit:
            self.healthy, self.seen = not self.healthy, {}

    def saw_status(self, status: int, limits: Row) -> None:
        """Count an HTTP answer, if the limits call its status good or bad."""
        for side, what in (("healthy", "successes"), ("unhealthy", "http_failures")):
            if status in limits[side]["http_statuses"]:
                return self.saw(what, limits)


class Balancer:
    """One upstream."""

    def __init__(self, upstream: Row, targets: list[Row], resolver: Resolver, client: Client) -> None:
        self.upstream, self.targets, self.resolver, self.client = upstream, targets, resolver, client
        self.checks = upstream["healthchecks"]
        self.peers: dict[str, list[Peer]] = {target["target"]: [] for target in targets}
        intervals = {side: self.checks["active"][side]["interval"] for side in ("healthy", "unhealthy")}
        limits = self.checks["passive"]["unhealthy"]
        self.checked = any(intervals.values()) or any(limits[what] for what in ("tcp_failures", "timeouts", "http_failures"))
        self.probes = [asyncio.create_task(self._watch(side == "healthy", every)) for side, every in intervals.items() if every]

    async def resolve(self) -> None:
        """Give every address of every target a peer, the ones already known their own."""
        for target in self.targets:
            host, _, port = target["target"].rpartition(":")
            known = {peer.ip: peer for peer in self.peers[target["target"]]}
            ips = await self.resolver.addresses(host.strip("[]"))
            self.peers[target["target"]] = [known.get(ip) or Peer(ip, int(port), target["weight"]) for ip in ips]

    async def pick(self, tried: list[Peer]) -> Peer | None:
        """The next healthy peer by weighted turns, one not tried yet if there is one."""
        await self.resolve()
        fit = [peer for peers in self.peers.values() for peer in peers if peer.healthy and peer.weight]
        fit = [peer for peer in fit if peer not in tried] or fit
        for peer in fit:
            peer.credit += peer.weight
        best = max(fit, key=lambda peer: peer.credit, default=None)
        if best:
            best.credit -= sum(peer.weight for peer in fit)
        return best

    def state(self, peer: Peer) -> str:
        """Kong's word for a peer's health."""
        return "HEALTHCHECKS_OFF" if not self.checked or not peer.weight else "HEALTHY" if peer.healthy else "UNHEALTHY"

    async def _watch(self, healthy: bool, every: float) -> None:
        while True:
            await self.resolve()
            await asyncio.gather(*(self._probe(peer) for peers in self.peers.values() for peer in peers
                                   if peer.healthy == healthy and peer.weight))
            await asyncio.sleep(every)

    async def _probe(self, peer: Peer) -> None:
        active = self.checks["active"]
        headers = [("Connection", "close"), ("Host", self.upstream["host_header"] or f"{peer.ip}:{peer.port}"), ("User-Agent", TOKEN)]
        scheme = "https" if active["type"] == "https" else "http"
        try:
            request = Request("GET", active["http_path"], headers, scheme=scheme)
            peer.saw_status((await self.client.fetch(peer.ip, peer.port, request, active["timeout"], active["timeout"])).status, active)
        except Unreachable as error:
            peer.saw("timeouts" if error.args[1] else "tcp_failures", active)

    def stop(self) -> None:
        """End the probes."""
        for probe in self.probes:
            probe.cancel()


def health_of(balancer: Balancer, target: Row) -> Row:
    """A target as `GET /upstreams/{u}/health` shows it."""
    peers = balancer.peers.get(target["target"], [])
    host, _, port = target["target"].rpartition(":")
    states = [balancer.state(peer) for peer in peers]
    health = next((state for state in ("HEALTHY", "UNHEALTHY", "HEALTHCHECKS_OFF") if state in states), "DNS_ERROR")
    addresses: list[dict[str, Any]] = [{"ip": peer.ip, "port": peer.port, "weight": peer.weight, "health": state}
                                       for peer, state in zip(peers, states, strict=True)]
    return target | {"health": health, "data": {"host": host, "port": int(port), "addresses": addresses}}
