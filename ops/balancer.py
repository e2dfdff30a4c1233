"""The balancer in front of the nodes, from a stack's outputs."""

from collections.abc import Mapping
from typing import Any

from components.haproxy import OPERATOR, SERVER_PREFIX
from providers.balancer_api import BalancerApi
from providers.replicas import every


def balancers_of(found: Mapping[str, Any]) -> list[BalancerApi]:
    """A client of each replica that runs, with the operator's password."""
    return [BalancerApi(url, OPERATOR, found["balancerPassword"]) for url in every(found["balancerUrl"])]


def balancer_of(found: Mapping[str, Any]) -> BalancerApi:
    """The first of them, for who runs on Docker, where there is one."""
    return balancers_of(found)[0]


def servers_of(found: Mapping[str, Any]) -> list[str]:
    """What it calls each node, in order."""
    return [f"{SERVER_PREFIX}{node}" for node in range(len(found["qdrantNodeUrls"]))]
