"""Consumers of one's own on the running stack: an issuer that rotates its keys, a key by PEM, groups, and a limit."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from access.polling import poll, require
from ops.stack import OperatorError
from tests.live.conftest import LiveStack
from tests.unit.served import Answer, served

pytestmark = pytest.mark.live
STAFF, ALL = "/staff/api/v1/rag/collections", "/api/v1/rag/collections"
SERVICE = {
    "staff": {
        "at": ["rag-service:3000"],
        "health": "/health",
        "routes": [{"paths": ["/staff"], "strip": True, "groups": ["staff"]}],
    }
}
SETTLED_SECONDS = 30


@dataclass
class Issuer:
    """Signs with the newest of its keys, and publishes those that `kids` names; none while it is away."""

    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    kids: tuple[str, ...] = ()

    def rotate(self, kid: str, *published: str) -> None:
        self.keys[kid] = self.keys.get(kid) or rsa.generate_private_key(65537, 2048)
        self.kids = published

    def answer(self, _: Any) -> Answer:
        if not self.kids:
            return Answer(503)
        found = [
            jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[kid].public_key(), as_dict=True) | {"kid": kid, "use": "sig"}
            for kid in self.kids
        ]
        return Answer(200, {"keys": found})

    def token(self, kid: str) -> str:
        return jwt.encode({"exp": int(time.time()) + 600}, self.keys[kid], "RS256", headers={"kid": kid})


@dataclass(frozen=True)
class Called:
    stack: LiveStack
    issuer: Issuer
    web: rsa.RSAPrivateKey
    settings: dict[str, Any]

    def status(self, path: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.stack.outputs['gatewayUrl']}{path}", headers=headers, timeout=10).status_code

    def settles(self, path: str, token: str, status: int) -> None:
        """A worker of Kong may keep what it knew for a few seconds."""

        def as_wanted() -> None:
            require((found := self.status(path, token)) == status, str(found))

        poll(as_wanted, SETTLED_SECONDS, expected=f"{status} at {path}", consecutive=4, interval_seconds=0.3)

    def web_token(self) -> str:
        return jwt.encode({"exp": int(time.time()) + 600}, self.web, "RS256", headers={"kid": "web-1"})


@pytest.fixture(scope="module")
def called(stack: LiveStack) -> Iterator[Called]:
    issuer, web = Issuer(), rsa.generate_private_key(65537, 2048)
    issuer.rotate("old", "old")
    pem = web.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with ExitStack() as over:
        url = over.enter_context(served(issuer.answer))
        consumers = {
            "partner": {"jwksUrl": f"{url}/jwks.json", "groups": ["staff"]},
            "web": {"keys": {"web-1": {"algorithm": "RS256", "publicKey": pem}}, "rateLimitPerMinute": 50},
        }
        chosen: dict[str, Any] = {"gatewayConsumers": consumers, "services": SERVICE}
        stack.up(**chosen)
        yield Called(stack, issuer, web, chosen)
        none: dict[str, Any] = {key: {} for key in chosen}
        stack.up(**none)


def test_an_issuers_token_opens_what_its_group_may_call_and_a_key_by_pem_the_rest(called: Called) -> None:
    called.settles(STAFF, called.issuer.token("old"), 200)
    called.settles(ALL, called.issuer.token("old"), 200)
    called.settles(ALL, called.web_token(), 200)
    called.settles(STAFF, called.web_token(), 403)
    called.settles(STAFF, called.stack.token(), 200)


def test_a_forged_token_opens_nothing(called: Called) -> None:
    stranger = Issuer()
    stranger.rotate("old", "old")
    assert called.status(ALL, stranger.token("old")) == 401


def test_a_rotation_overlaps_and_ends_with_the_old_key_refused(called: Called) -> None:
    called.issuer.rotate("new", "old", "new")
    called.stack.up(**called.settings)
    for kid in ("old", "new"):
        called.settles(STAFF, called.issuer.token(kid), 200)
    called.issuer.rotate("new", "new")
    called.stack.up(**called.settings)
    called.settles(STAFF, called.issuer.token("old"), 401)
    called.settles(STAFF, called.issuer.token("new"), 200)


def test_an_issuer_that_is_away_stops_the_deployment_and_its_keys_stay(called: Called) -> None:
    kids, called.issuer.kids = called.issuer.kids, ()
    try:
        with pytest.raises(OperatorError, match=r"partner\.jwksUrl: expected the keys of its issuer"):
            called.stack.up(**called.settings)
    finally:
        called.issuer.kids = kids
    assert called.status(STAFF, called.issuer.token("new")) == 200
