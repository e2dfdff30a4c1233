"""A plain client of HAProxy's statistics page, which is also where a server is taken out and put back."""

import csv
import io
from contextlib import suppress

import requests
from requests.auth import HTTPBasicAuth

from access.direct import direct_session
from access.kubernetes.tunnel import local
from access.polling import PollTimeout, poll, require


class BalancerUnreachable(Exception):
    """Nothing answers at the balancer's address: it sends traffic to no node either."""


class BalancerApi:
    """HAProxy's `stats admin` page behind basic authentication; acts on one server in every backend that has it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._session = direct_session()
        # As UTF-8: of text, requests would send Latin-1, and fail for all that it lacks.
        self._session.auth = HTTPBasicAuth(user.encode(), password.encode())

    def drain(self, server: str, timeout_seconds: float = 5) -> int:
        """Give the server no new request, let those under way end, then cut it off; returns how many were cut."""
        self._set(server, "drain")
        with suppress(PollTimeout):
            poll(lambda: self._require_idle(server), timeout_seconds, expected="no session", interval_seconds=0.1)
        busy = self._sessions(server)
        self._set(server, "maint")
        self._set(server, "shutdown")
        return busy

    def readmit(self, server: str) -> None:
        """Give the server traffic again as soon as its health checks pass."""
        self._set(server, "ready")

    def states(self, server: str) -> dict[str, str]:
        """Backend -> state of the server, as HAProxy names it (UP, DRAIN, MAINT, DOWN, …)."""
        return {row["# pxname"]: row["status"] for row in self._rows(server)}

    def _require_idle(self, server: str) -> None:
        require(not self._sessions(server), "sessions")

    def _sessions(self, server: str) -> int:
        return sum(int(row["scur"] or 0) for row in self._rows(server))

    def _rows(self, server: str) -> list[dict[str, str]]:
        rows = csv.DictReader(io.StringIO(self._call("GET", "/stats;csv")))
        return [row for row in rows if row["svname"] == server]

    def _set(self, server: str, action: str) -> None:
        for backend in {row["# pxname"] for row in self._rows(server)}:
            self._call("POST", "/stats", {"s": server, "action": action, "b": backend})

    def _call(self, method: str, path: str, form: dict[str, str] | None = None) -> str:
        try:
            answer = self._session.request(method, local(self._url) + path, data=form, timeout=5, allow_redirects=False)
        except requests.RequestException as error:
            raise BalancerUnreachable(f"{self._url} does not answer ({type(error).__name__})") from error
        # HAProxy answers an action with a redirect whose fragment says whether it was done.
        if answer.status_code >= 400 or "st=DONE" not in answer.headers.get("location", "st=DONE"):
            raise RuntimeError(
                f"expected HAProxy to accept {form or path}, found HTTP {answer.status_code} "
                f"{answer.headers.get('location', '')}; check its stats password and `stats admin`"
            )
        return answer.text
