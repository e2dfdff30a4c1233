"""Upstreams: which addresses their targets have, which of them are healthy, and whose turn it is."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from sandbox.kong.schemas import Row
from sandbox.kong.settings import TOKEN
from sandbox.kong.wire import Client, Request, UnreachableError


@dataclass(eq=False)
class Peer:
    """One address of a target, and what was observed of it."""

    host: str
    ip: str
    port: int
    weight: int = 0
    healthy: bool = True
    credit: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def saw(self, what: str, limits: Row) -> None:
        """Count an observation against its limit, 0 being none; at the limit the peer changes sides."""
        good = what == "successes"
        limit = limits["healthy" if good else "unhealthy"][what]
        if not limit:
            return
        if good:
            self.seen = Counter(successes=self.seen[what])
        else:
            del self.seen["successes"]
        if self.healthy != good:
            self.seen[what] += 1
        if self.seen[what] >= limit:
            self.healthy, self.seen = good, Counter()

    def saw_status(self, status: int, limits: Row) -> None:
        """Count an answer, if its status is one the limits name."""
        if status in limits["healthy"]["http_statuses"]:
            self.saw("successes", limits)
        elif status in limits["unhealthy"]["http_statuses"]:
            self.saw("http_failures", limits)


class Balancer:
    """One upstream: its targets' addresses and whose turn it is; what was observed of them outlives a change."""

    def __init__(self, upstream: Row, targets: list[Row], client: Client, old: "Balancer | None") -> None:
        self.upstream, self.targets, self.client, self.checks = upstream, targets, client, upstream["healthchecks"]
        known = old.peers if old else {}
        self.peers: dict[str, list[Peer]] = {target["target"]: known.get(target["target"], []) for target in targets}
        intervals = {side: self.checks["active"][side]["interval"] for side in ("healthy", "unhealthy")}
        passive = self.checks["passive"]["unhealthy"]
        counted = [passive[what] for what in ("tcp_failures", "timeouts", "http_failures")]
        self._checked = any([*intervals.values(), *counted])
        watched = [] if self.checks["active"]["type"] == "tcp" else intervals.items()  # Kong's HTTP side leaves tcp out
        self._tasks = [asyncio.create_task(self._watch(side, every)) for side, every in watched if every]
        self._tasks.append(asyncio.create_task(self.resolve()))

    async def resolve(self) -> None:
        """Make a peer of every address of every target; one that is known stays what it was."""
        for target in self.targets:
            host, _, port = target["target"].rpartition(":")
            ips = await self.client.resolver.addresses(host)
            known = {peer.ip: peer for peer in self.peers[target["target"]]}
            self.peers[target["target"]] = [known.get(ip) or Peer(host, ip, int(port)) for ip in ips]
            for peer in self.peers[target["target"]]:
                peer.weight = target["weight"]

    async def pick(self, tried: list[Peer]) -> Peer | None:
        """The next healthy peer by weighted turns, one not tried yet if there is any."""
        await self.resolve()
        healthy = [peer for peers in self.peers.values() for peer in peers if peer.healthy and peer.weight]
        fit = [peer for peer in healthy if peer not in tried] or healthy
        for peer in fit:
            peer.credit += peer.weight
        best = max(fit, key=lambda peer: peer.credit, default=None)
        if best:
            best.credit -= sum(peer.weight for peer in fit)
        return best

    def state(self, peer: Peer) -> str:
        """Kong's word for a peer's health."""
        judged = "HEALTHY" if peer.healthy else "UNHEALTHY"
        return judged if self._checked and peer.weight else "HEALTHCHECKS_OFF"

    async def _watch(self, side: str, every: float) -> None:
        while True:
            await self.resolve()
            peers = [peer for peers in self.peers.values() for peer in peers if peer.weight]
            await asyncio.gather(*(self._probe(peer) for peer in peers if peer.healthy == (side == "healthy")))
            await asyncio.sleep(every)

    async def _probe(self, peer: Peer) -> None:
        active = self.checks["active"]
        host = self.upstream["host_header"] or f"{peer.host}:{peer.port}"
        headers = [("Connection", "close"), ("User-Agent", TOKEN), ("Host", host)]
        request = Request("GET", active["http_path"], headers, scheme="https" if active["type"] == "https" else "http")
        try:
            answer = await self.client.fetch(peer.ip, peer.port, request, active["timeout"], active["timeout"])
            peer.saw_status(answer.status, active)
        except UnreachableError as error:
            peer.saw("timeouts" if error.timed_out else "tcp_failures", active)

    def mark(self, target: str, *, healthy: bool) -> None:
        """Mark every address of a target as healthy or not, whatever its checks found."""
        for peer in self.peers[target]:
            peer.healthy, peer.seen = healthy, Counter()

    def health(self, target: Row) -> Row:
        """A target as `GET /upstreams/{u}/health` shows it."""
        host, _, port = target["target"].rpartition(":")
        peers = [(vars(peer), self.state(peer)) for peer in self.peers[target["target"]]]
        addresses = [{name: peer[name] for name in ("ip", "port", "weight")} | {"health": s} for peer, s in peers]
        words = ("HEALTHY", "UNHEALTHY", "HEALTHCHECKS_OFF")
        health = next((word for word in words if word in [state for _, state in peers]), "DNS_ERROR")
        return target | {"health": health, "data": {"host": host, "port": int(port), "addresses": addresses}}

    def stop(self) -> None:
        """End the probes."""
        for task in self._tasks:
            task.cancel()
