"""The balancer in front of the nodes, from a stack's outputs."""

from collections.abc import Mapping
from typing import Any

from components.haproxy import OPERATOR, SERVER_PREFIX
from providers.balancer_api import BalancerApi


def balancer_of(found: Mapping[str, Any]) -> BalancerApi:
    """Its client, with the operator's password."""
    return BalancerApi(found["balancerUrl"], OPERATOR, found["balancerPassword"])


def servers_of(found: Mapping[str, Any]) -> list[str]:
    """What it calls each node, in order."""
    return [f"{SERVER_PREFIX}{node}" for node in range(len(found["qdrantNodeUrls"]))]
