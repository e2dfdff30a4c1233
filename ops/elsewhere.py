"""Services that run elsewhere, asked before anything is changed: does the name resolve, is there a health path?

A program that does not answer yet is no mistake: the gateway takes it into use when it does. Names that only a network
of containers or a cluster knows cannot be asked for from here.
"""

import socket
from collections.abc import Iterator

import requests

from access.direct import direct_request
from components.services.entry import ServiceEntry
from ops.stack import OperatorError
from platforms.workload import THIS_MACHINE
from settings import Settings

TIMEOUT_SECONDS = 5


def check_elsewhere(settings: Settings) -> None:
    """OperatorError that names every address that does not resolve, and every health path that is not there."""
    mistakes = [
        f"  - services.{name}.{mistake}"
        for name, entry in settings.stack.services.items()
        for address in entry.at
        for mistake in _mistakes(address, entry)
    ]
    if mistakes:
        raise OperatorError("\n".join(["services elsewhere; nothing was changed:", *mistakes]))


def _mistakes(address: str, entry: ServiceEntry) -> Iterator[str]:
    host, _, port = address.rpartition(":")
    seen_from_here = _seen_from_here(host)
    if not seen_from_here:
        return
    try:
        socket.getaddrinfo(seen_from_here, int(port))
    except OSError:
        yield f"at: expected a name that resolves, found {host}; correct it, or see to its DNS"
        return
    url = f"{'https' if entry.tls else 'http'}://{seen_from_here}:{port}{entry.health}"
    try:
        status = direct_request("GET", url, timeout=TIMEOUT_SECONDS).status_code
    except requests.exceptions.SSLError:
        yield f"tls: expected a certificate of a public authority at {address}, found another; the gateway refuses it"
    except requests.RequestException:
        return
    else:
        if status == 404:
            yield f"health: expected a path that answers 200 at {address}, found 404 at {entry.health}; name another"


def _seen_from_here(host: str) -> str:
    """The name for this machine; empty for one that only containers or pods resolve."""
    if host == THIS_MACHINE:
        return "127.0.0.1"
    inside = "." not in host or "svc" in host.split(".")
    return "" if inside else host
