"""The balancers in front of the nodes, from a stack's outputs, and nodes taken out of traffic by hand."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from rich.console import Console

from access.haproxy import BalancerApi, BalancerUnreachable
from access.kubernetes.replicas import every
from components.qdrant.haproxy import OPERATOR, SERVER_PREFIX


def balancers_of(found: Mapping[str, Any]) -> list[BalancerApi]:
    """A client of each replica that runs, with the operator's password."""
    return [BalancerApi(url, OPERATOR, found["balancerPassword"]) for url in every(found["balancerUrl"])]


def servers_of(found: Mapping[str, Any]) -> list[str]:
    """What it calls each node, in order."""
    return [f"{SERVER_PREFIX}{node}" for node in range(len(found["qdrantNodeUrls"]))]


def out_of_traffic(balancers: Iterable[BalancerApi], ordinals: Iterable[int], console: Console) -> None:
    """Drain these nodes at every balancer; one that does not answer sends no traffic anywhere."""
    for balancer, server in product(balancers, [f"{SERVER_PREFIX}{ordinal}" for ordinal in ordinals]):
        try:
            balancer.drain(server)
        except BalancerUnreachable as error:
            console.print(f"{error}: it sends no traffic to {server}")


def into_traffic(balancers: Iterable[BalancerApi], ordinals: Iterable[int], console: Console) -> None:
    """Give these nodes traffic again; a balancer that does not answer will begin with every node in traffic."""
    for balancer, server in product(balancers, [f"{SERVER_PREFIX}{ordinal}" for ordinal in ordinals]):
        try:
            balancer.readmit(server)
        except BalancerUnreachable as error:
            console.print(f"{error}: it will begin with {server} in traffic")
