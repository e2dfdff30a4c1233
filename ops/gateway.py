"""Calling the gateway as its clients do: with a JWT."""

import time
from collections.abc import Mapping
from typing import Any

import jwt
import requests

from access.direct import direct_request
from access.kubernetes.tunnel import local
from components.gateway.consumers import CLIENT
from ops.stack import OperatorError


def mint_token(key: str, secret: str, valid_seconds: int = 3600, algorithm: str = "HS256") -> str:
    """A JWT that the gateway accepts for `valid_seconds`; `key` travels as its `kid` and its `iss`."""
    now = int(time.time())
    claims = {"iss": key, "iat": now, "exp": now + valid_seconds}
    return jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key})


def signing_keys(outputs: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """`kid` -> consumer, algorithm and secret; of a stack that an earlier release deployed, the one key it told of."""
    only = {"consumer": CLIENT, "algorithm": "HS256", "secret": outputs["gatewayJwtSecret"]}
    return outputs.get("gatewaySigningKeys") or {outputs["gatewayJwtKey"]: only}


def choose_key(keys: Mapping[str, Mapping[str, str]], *, consumer: str = "", key: str = "") -> str:
    """The `kid` to sign with: the one that is named, else the consumer's first, else the platform's own.

    OperatorError for one that this stack cannot sign with.
    """
    fitting = [kid for kid, found in keys.items() if key in ("", kid) and consumer in ("", found["consumer"])]
    if not fitting:
        asked = " and ".join(f"{name}={value}" for name, value in (("CONSUMER", consumer), ("KEY", key)) if value)
        listed = ", ".join(f"{kid} (of {found['consumer']})" for kid, found in keys.items())
        raise OperatorError(
            f"expected a key that this stack can sign with, {listed}; found {asked}. Of a public key its issuer alone "
            "has the other half: ask it for a token"
        )
    return fitting[0]


def check_validity(valid_seconds: int, most_hours: int) -> None:
    """OperatorError for a token that the gateway would refuse."""
    if valid_seconds > most_hours * 3600:
        raise OperatorError(
            f"--valid-seconds: expected at most {most_hours * 3600} (gatewayTokenHours: {most_hours}), found "
            f"{valid_seconds}; ask for less, or raise that key in the stack file and run make up"
        )


def search(url: str, token: str, query: str, limit: int = 5) -> list[dict[str, Any]]:
    """Ranked passages for a query, through the gateway; OperatorError with its words when it refuses."""
    try:
        answer = direct_request(
            "POST",
            f"{local(url)}/api/v1/rag/search",
            json={"query": query, "limit": limit},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    except requests.RequestException as error:
        raise OperatorError(f"expected the gateway at {url}, found no answer; see make status") from error
    if answer.status_code != 200:
        wait = answer.headers.get("Retry-After")
        raise OperatorError(
            f"expected 200 from the gateway, found {answer.status_code}: {answer.text[:300]}"
            + (f"; try again in {wait} s" if wait else "")
        )
    results: list[dict[str, Any]] = answer.json()["results"]
    return results
