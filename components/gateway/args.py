"""What the gateway is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.gateway.description import Gateway
from components.gateway.settings import GatewaySettings
from platforms.base import Platform
from platforms.workload import Call


@dataclass(frozen=True, kw_only=True)
class KongGatewayArgs:
    """Where it runs, what it is and publishes, and its secrets (by the names the description uses)."""

    platform: Platform
    settings: GatewaySettings
    kong_image: str
    postgres_image: str
    valkey_image: str
    postgres_password: pulumi.Input[str]
    gateway: Gateway
    backends: Sequence[pulumi.Resource]  # what the routes lead to: published only when it is ready
    calls: tuple[Call, ...]  # the ports of what the routes lead to
    secrets: Mapping[str, pulumi.Input[str]]
    traces_url: str = ""  # where the gateway sends traces; it makes none without
