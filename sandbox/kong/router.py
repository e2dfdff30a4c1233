"""Which route answers a request, and where its service wants it."""

import posixpath
import re
from dataclasses import dataclass

from sandbox.kong.schemas import Row
from sandbox.kong.wire import Headers, Request, first


@dataclass(frozen=True)
class Match:
    """A route that fits, its service, and the part of the path that is not for the upstream."""

    route: Row
    service: Row
    prefix: str


class Router:
    """A snapshot of all routes, the most particular first."""

    def __init__(self, routes: list[Row], services: list[Row]) -> None:
        enabled = {service["id"]: service for service in services if service["enabled"]}
        rules = [(path, route) for route in routes for path in route["paths"] or [""]]
        self._rules = [
            (path, re.compile(path[1:]) if path[:1] == "~" else None, route, enabled[route["service"]["id"]])
            for path, route in sorted(rules, key=_particular, reverse=True)
            if route["service"] and route["service"]["id"] in enabled
        ]

    def match(self, request: Request, path: str) -> Match | None:
        """The first rule that every criterion of the request fits."""
        host = first(request.headers, "host").partition(":")[0].lower()
        for wanted, pattern, route, service in self._rules:
            found = pattern.match(path) if pattern else None
            prefix = found[0] if found else wanted if not pattern and path.startswith(wanted) else None
            if prefix is not None and _fits(route, request.method, host, request.headers):
                return Match(route, service, prefix if route["strip_path"] else "")
        return None


def _particular(rule: tuple[str, Row]) -> tuple[int, bool, int, int, float]:
    path, route = rule
    criteria = sum(bool(route[name]) for name in ("methods", "hosts", "headers", "paths", "snis"))
    return criteria, path[:1] == "~", route["regex_priority"] if path[:1] == "~" else 0, len(path), -route["created_at"]


def _fits(route: Row, method: str, host: str, headers: Headers) -> bool:
    hosts = [re.escape(pattern.partition(":")[0].lower()).replace(r"\*", ".+") for pattern in route["hosts"] or []]
    return (
        (not route["methods"] or method in route["methods"])
        and (not hosts or any(re.fullmatch(pattern, host) for pattern in hosts))
        and all(first(headers, name.lower()) in values for name, values in (route["headers"] or {}).items())
    )


def normal(path: str) -> str:
    """The path without `//` and `..`, so that none reaches an upstream around a route."""
    path = re.sub("%2e", ".", path, flags=re.IGNORECASE)
    if "//" not in path and "/." not in path:
        return path
    return posixpath.normpath(re.sub("/+", "/", path)) + "/" * (path[-1] == "/" and path.strip("/.") != "")


def upstream_path(match: Match, path: str) -> str:
    """The service's path, joined with what is left of the request's."""
    base, rest = match.service["path"] or "/", path.removeprefix(match.prefix)
    joined = base.rstrip("/") + "/" + rest.removeprefix("/")
    open_ended = path.endswith("/") and (len(path) > 1 or (base.endswith("/") and rest))
    return joined if rest.strip("/") or open_ended else joined.rstrip("/") or "/"
