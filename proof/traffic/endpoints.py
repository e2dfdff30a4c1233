"""The streams of calls: endpoints and rates; the same from outside and from inside a cluster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from proof.traffic.clients import (
    ASK,
    QUERIES,
    READ,
    SEARCH,
    SEARCHES,
    WRITE,
    GatewayClient,
    Probe,
    Reader,
    Writer,
    fresh_ids,
)
from proof.traffic.generator import Client, Stream
from proof.traffic.ledger import Acknowledgements


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Calls a second of each stream, over so many kept connections, and how long the baseline is measured."""

    read: float = 60
    search: float = 8
    ask: float = 1
    write: float = 6
    connections: int = 50  # of readers and searchers together
    baseline_seconds: float = 15

    @classmethod
    def of(cls, share: float) -> Self:
        """A share of all rates, for a machine that is smaller or busy; as many connections."""
        usual = cls()
        return cls(**{name: getattr(usual, name) * share for name in (READ, SEARCH, ASK, WRITE)})

    def connections_of(self, stream: str) -> int:
        """Searches get their share of the connections, writers and questions a few of their own."""
        searchers = max(1, self.connections // 5)
        return {SEARCH: searchers, READ: max(1, self.connections - searchers)}.get(stream, 4)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses that clients call, and their credentials."""

    points_url: str  # the collection's points, at the balancer
    api_key: str
    dimensions: int
    gateway_url: str
    token: str
    addresses: int  # clients that the gateway tells apart; 0 where it does not trust X-Forwarded-For
    probes: Sequence[Mapping[str, Any]] = ()  # fields of Probe, of services of your own; none: the reference service's


def streams(endpoints: Endpoints, pace: Pace, ledger: Acknowledgements) -> list[Stream]:
    """All four kinds of clients; a stream of pace 0 is left out, and questions where services have probes of theirs."""
    ids = fresh_ids()
    own = [Probe(**each) for each in endpoints.probes]
    gateway = partial(GatewayClient, endpoints.gateway_url, endpoints.token, addresses=endpoints.addresses)
    clients: dict[str, Callable[[], Client]] = {
        READ: lambda: Reader(endpoints.points_url, endpoints.api_key, endpoints.dimensions),
        SEARCH: lambda: gateway(own or SEARCHES),
        ASK: lambda: gateway(QUERIES),
        WRITE: lambda: Writer(endpoints.points_url, endpoints.api_key, endpoints.dimensions, ids=ids, ledger=ledger),
    }
    return [
        Stream(name=name, per_second=rate, connections=pace.connections_of(name), connect=connect)
        for name, connect in clients.items()
        if (rate := getattr(pace, name)) and not (own and name == ASK)
    ]
