"""One request on its way through Kong: what is known of it, what plugins change, and Kong's own responses."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from sandbox.kong.router import Match
from sandbox.kong.schemas import Row
from sandbox.kong.settings import setting
from sandbox.kong.wire import Headers, Request, Response

ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
JSON = ("Content-Type", "application/json; charset=utf-8")


class ExitError(Exception):
    """Kong answers by itself: (the response,)."""


@dataclass
class Call:
    """A request, its client's true address, and what becomes of it."""

    request: Request
    path: str
    query: str
    client: str
    ingress: int  # bytes
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    match: Match | None = None
    consumer: Row | None = None
    credential: Row | None = None
    plugins: dict[str, Row] = field(default_factory=dict)  # the config of each that saw the call
    span: dict[str, str] = field(default_factory=dict)  # of the opentelemetry plugin
    answer: Headers = field(default_factory=list)  # headers for the client, set before there is a response

    def refuse(self, status: int, message: str) -> ExitError:
        """Kong's own error, as JSON with the request's id."""
        body = f'{{\n  "message":"{message}",\n  "request_id":"{self.id}"\n}}'
        return ExitError(Response(status, [JSON], body.encode()))


def size(headers: Headers, body: bytes) -> int:
    """About how many bytes a message takes."""
    return sum(len(name) + len(value) + 4 for name, value in headers) + len(body)


def exit_with(status: int, body: Mapping[str, Any], *headers: tuple[str, str]) -> ExitError:
    """A plugin's answer, as JSON."""
    return ExitError(Response(status, [JSON, *headers], json.dumps(body, separators=(",", ":")).encode()))


def fault() -> ExitError:
    """What a plugin that fails answers."""
    return exit_with(500, {"message": "An unexpected error occurred"})


@lru_cache(maxsize=4096)
def trusted(address: str) -> bool:
    """Whether this is one of our own proxies, whose forwarding headers are used."""
    networks = [ip_network(entry.strip()) for entry in setting("TRUSTED_IPS").split(",") if entry.strip()]
    return any(ip_address(address) in network for network in networks)


def client_address(peer: str, headers: Headers) -> str:
    """The peer, or the address that a trusted peer names; with KONG_REAL_IP_RECURSIVE the last one not trusted."""
    if not trusted(peer):
        return peer
    name = setting("REAL_IP_HEADER", "X-Real-IP").lower()
    named: list[str] = [address for key, value in headers if key.lower() == name for address in ADDRESS.findall(value)]
    recursive = setting("REAL_IP_RECURSIVE", "off") == "on"
    strangers = [address for address in named if not (recursive and trusted(address))]
    return (strangers or named[:1] or [peer])[-1]
