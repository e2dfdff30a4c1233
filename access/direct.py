"""Requests to this machine and to neighbours, which are behind no proxy, whatever the environment says."""

import os
from typing import Any

import requests

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def direct_session() -> requests.Session:
    """A session without the environment's proxy; the environment's certificates count."""
    session = requests.Session()
    session.trust_env = False
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return session


def direct_request(method: str, url: str, **options: Any) -> requests.Response:
    """One request on a session of its own."""
    with direct_session() as session:
        return session.request(method, url, **options)


def bypass_proxy() -> None:
    """Let no program that is started from here, and no gRPC channel, send calls of this machine through a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        given = os.environ.get(name) or os.environ.get(name.swapcase(), "")
        listed = [each.strip() for each in given.split(",") if each.strip()]
        os.environ[name] = ",".join(dict.fromkeys([*listed, *LOOPBACK]))
