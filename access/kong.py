"""Looking at Kong from outside, one fresh connection a look, until what is seen has lasted."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from access.kubernetes.tunnel import local


@dataclass(frozen=True)
class RouteObservation:
    """One answer; `status` is None when nobody answered, and `message` then says why."""

    status: int | None
    message: str
    proxied: bool = False

    @property
    def refused(self) -> bool:
        """Kong's jwt plugin said no. A 401 of the service behind Kong proves the opposite: the request got there."""
        return self.status == 401 and self.message == "Unauthorized" and not self.proxied

    @property
    def unrouted(self) -> bool:
        """Nothing is served here."""
        return self.status is None or (self.status == 404 and self.message.startswith("no Route matched"))

    @property
    def flooded(self) -> bool:
        """The flood limit answered, before any plugin. The rate limit's own 429 would mean that jwt let us pass."""
        return self.status == 429 and self.message != "API rate limit exceeded" and not self.proxied

    def __str__(self) -> str:
        origin = "the service behind Kong" if self.proxied else "Kong"
        return f"{self.status} {self.message!r} from {origin}" if self.status else self.message


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How many looks in a row, over how long, must agree; the span covers what no look can tell, which worker answered.

    Every worker of Kong brings its plugins up to date on a timer of its own. After one period of that timer each of
    them has, whether or not one of the looks went to it.
    """

    span_seconds: float
    looks: int = 20
    timeout_seconds: float = 60


def observe_route(url: str, path: str, headers: Mapping[str, str]) -> RouteObservation:
    """What Kong answers to a GET without a token, on a connection that nothing else has used."""
    connection = HTTPConnection(urlsplit(local(url)).netloc, timeout=5)
    try:
        connection.request("GET", path, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        proxied = answer.getheader("X-Kong-Upstream-Latency") is not None
        return RouteObservation(answer.status, _message(answer.read(4096)), proxied)
    except (OSError, HTTPException) as error:
        return RouteObservation(None, f"no answer from {url} ({error})")
    finally:
        connection.close()


def watch(
    see: Callable[[], RouteObservation],
    wanted: Callable[[RouteObservation], bool],
    timeouts: Timeouts,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return when `wanted` has held for every look of the span; TimeoutError with the last other sighting."""
    deadline = now() + timeouts.timeout_seconds
    since, agreed, other = now(), 0, RouteObservation(None, "nothing but the flood limit")
    while agreed < timeouts.looks or now() - since < timeouts.span_seconds:
        if now() > deadline:
            raise TimeoutError(f"waited {timeouts.timeout_seconds:.0f} s, last saw {other}")
        sighting = see()
        if sighting.flooded:  # says nothing of what was looked for; in dev all of this machine shares one limit
            pause(0.02)
            continue
        if not wanted(sighting):
            agreed, other = 0, sighting
        elif agreed == 0:
            since, agreed = now(), 1
        else:
            agreed += 1
        pause(timeouts.span_seconds / timeouts.looks)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:80]
