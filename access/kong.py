"""Kong from outside: its Admin API, and its routes, observed until what is observed has lasted."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests

from access.direct import direct_request
from access.kubernetes.tunnel import local
from access.polling import SYSTEM_CLOCK, Clock, poll, require

OBSERVATIONS = 20
FLOOD_SECONDS = 0.02  # between requests while the flood limit answers


# Dependents first: Kong refuses to delete a service that a route or plugin still names.
ENTITY_KINDS = ("routes", "plugins", "services", "upstreams", "consumers")
# Owner -> entities that are listed and deleted below it.
WITHIN = {"upstreams": ("targets",), "consumers": ("jwt", "acls")}


@dataclass(frozen=True, kw_only=True)
class AdminApi:
    """Kong's Admin API, behind the token that this project's gateway asks for."""

    url: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What lets a call in; none for a gateway that asks for no token yet."""
        return {"Kong-Admin-Token": self.token} if self.token else {}

    def entities(self) -> list[tuple[str, dict[str, Any]]] | None:
        """(path of its list, entity) for each, dependents first; None when no Admin API answers."""
        found: list[tuple[str, dict[str, Any]]] = []
        for kind in ENTITY_KINDS:
            listed = self._list(kind)
            if listed is None:
                return None
            below = [f"{kind}/{owner['id']}/{inner}" for _, owner in listed for inner in WITHIN.get(kind, ())]
            found += [each for path in below for each in self._list(path) or ()]
            found += listed
        return found

    def delete(self, path: str, entity: Mapping[str, Any]) -> None:
        """Delete one of that list; requests.HTTPError when Kong refuses."""
        url = f"{local(self.url)}/{path}/{entity['id']}"
        direct_request("DELETE", url, headers=self.headers, timeout=5).raise_for_status()

    def _list(self, path: str) -> list[tuple[str, dict[str, Any]]] | None:
        try:
            answer = direct_request("GET", f"{local(self.url)}/{path}?size=1000", headers=self.headers, timeout=5)
            return [(path, entity) for entity in answer.json()["data"]]
        except (requests.RequestException, ValueError, KeyError):
            return None


@dataclass(frozen=True)
class RouteObservation:
    """One response; `status` is None when there was none, and `message` is then the reason."""

    status: int | None
    message: str
    proxied: bool = False

    @property
    def refused(self) -> bool:
        """Kong's jwt plugin refused it. A 401 of the service behind Kong proves the opposite: the request got there."""
        return self.status == 401 and self.message == "Unauthorized" and not self.proxied

    @property
    def unrouted(self) -> bool:
        """Nothing is served here."""
        return self.status is None or (self.status == 404 and self.message.startswith("no Route matched"))

    @property
    def flooded(self) -> bool:
        """The flood limit answered, before any plugin. The rate limit's 429 would mean that jwt let it pass."""
        return self.status == 429 and self.message != "API rate limit exceeded" and not self.proxied

    def __str__(self) -> str:
        origin = "the service behind Kong" if self.proxied else "Kong"
        return f"{self.status} {self.message!r} from {origin}" if self.status else self.message


def observe_route(url: str, path: str, headers: Mapping[str, str]) -> RouteObservation:
    """Kong's response to a GET without a token, on a new connection."""
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


def await_refused(gate: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> None:
    """Return when every worker of Kong refuses the service's canary route without a token; else TimeoutError."""
    canary, span = {"Host": gate["canary_host"], gate["canary_header"]: gate["canary_secret"]}, gate["span_seconds"]
    for url in gate["proxy_urls"]:
        await_lasting(
            partial(observe_route, url, "/", canary),
            lambda found: found.refused,
            span,
            expected=f"Kong at {url} to refuse a call of service '{gate['service']}' without a token for {span:g} s",
            advice="Its public routes have not been touched; see that the Admin API's /plugins lists an enabled jwt "
            "for it, then run the same command again",
            clock=clock,
        )


def await_unrouted(gate: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> None:
    """Return when no worker of Kong serves the service's public paths any more; else TimeoutError."""
    span = gate["span_seconds"]
    for url in gate["proxy_urls"]:
        for path in gate["public_paths"]:
            await_lasting(
                partial(observe_route, url, path, {}),
                lambda found: found.unrouted,
                span,
                expected=f"Kong at {url} to serve {path} no more",
                timeout_seconds=span + 15,
                clock=clock,
            )


def await_lasting(
    observe: Callable[[], RouteObservation],
    accepts: Callable[[RouteObservation], bool],
    span_seconds: float,
    *,
    expected: str,
    advice: str = "",
    timeout_seconds: float = 60,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Return when `OBSERVATIONS` in a row, over at least the span, are accepted; TimeoutError with the last other one.

    The span covers what no observation can show: which worker of Kong answered. Every worker updates its plugins on a
    timer of its own. After one period of that timer each of them has, whether or not it was one of those observed.
    """
    since, accepted, other = clock.now(), 0, RouteObservation(None, "nothing but the flood limit")

    def lasted() -> None:
        nonlocal since, accepted, other
        observation = observe()
        if not observation.flooded:  # which shows nothing of the route; in dev all of this machine shares one limit
            if not accepts(observation):
                accepted, other = 0, observation
            else:
                since = since if accepted else clock.now()
                accepted += 1
            clock.sleep(span_seconds / OBSERVATIONS)
        require(accepted >= OBSERVATIONS and clock.now() - since >= span_seconds, str(other))

    poll(lasted, timeout_seconds, expected=expected, advice=advice, interval_seconds=FLOOD_SECONDS, clock=clock)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:80]
