"""Consumers of one's own: their keys, by secret, by PEM or as an issuer publishes them; every mistake by its key."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pulumi
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from components.gateway import declarative
from components.gateway.consumers import CLIENT, ConsumerEntry, read_issuers
from components.gateway.public_keys import UnusableKeys, checked, read_jwks
from components.gateway.references import jwt_secret
from components.services.entry import RouteEntry, ServiceEntry
from components.services.routing import gateway_of
from ops.gateway import choose_key, mint_token, signing_keys
from ops.stack import OperatorError
from tests.unit.served import Answer, served
from tests.unit.test_gateway_rag import REFERENCE, SECRETS, settings
from tests.unit.test_settings import mistakes

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    "RS256": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(algorithm: str) -> str:
    key = PRIVATE[algorithm].public_key()
    return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def jwk(kid: str, key: Any = RSA, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": kid, "use": "sig", "alg": "RS256"} | changes


def published(*keys: Mapping[str, Any], status: int = 200) -> Callable[[Any], Answer]:
    return lambda asked: Answer(status, {"keys": list(keys)})


def consumer(**entry: Any) -> dict[str, Any]:
    return {"web": {"keys": {"web-1": {"algorithm": "RS256", "publicKey": pem("RS256")}}} | entry}


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_public_key_of_every_kind_verifies_what_its_other_half_signs(algorithm: str) -> None:
    token = jwt.encode({"sub": "x"}, PRIVATE[algorithm], algorithm)
    assert jwt.decode(token, checked(algorithm, pem(algorithm)), algorithms=[algorithm]) == {"sub": "x"}


@pytest.mark.parametrize(
    ("algorithm", "text", "says"),
    [
        ("RS256", pem("ES256"), "expected a public key for RS256, found ECPublicKey secp256r1"),
        ("ES256", pem("ES384"), "expected a public key for ES256, found ECPublicKey secp384r1"),
        ("EdDSA", pem("RS256"), "expected a public key for EdDSA, found RSAPublicKey"),
        ("RS256", "ssh-rsa AAAA", "expected a public key in PEM"),
    ],
)
def test_a_key_that_does_not_fit_its_algorithm_is_refused(algorithm: str, text: str, says: str) -> None:
    with pytest.raises(UnusableKeys, match=says):
        checked(algorithm, text)


def test_a_private_key_is_refused_and_not_shown() -> None:
    private = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(UnusableKeys, match="found a private one"):
        checked("RS256", private)
    found = mistakes(gatewayConsumers=consumer(keys={"web-1": {"algorithm": "RS256", "publicKey": private}}))
    assert private[40:80] not in found


def test_short_keys_are_refused() -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(UnusableKeys, match="2048 bits or more, found 1024"):
        checked("RS256", short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def test_the_keys_of_an_issuer_are_read_and_a_rotation_overlaps() -> None:
    old, new, encrypts = jwk("old"), jwk("new", OTHER_RSA), jwk("enc", use="enc")
    for keys, kids in (((old, encrypts), {"old"}), ((old, new), {"old", "new"}), ((new,), {"new"})):
        with served(published(*keys)) as url:
            found = read_jwks(f"{url}/jwks.json")
        assert set(found) == kids
    assert jwt.decode(jwt.encode({}, OTHER_RSA, "RS256"), found["new"].pem, algorithms=["RS256"]) == {}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (published(jwk("a"), status=503), "found HTTP 503; until it answers the gateway keeps those it has"),
        (published(), "none that signs"),
        (published(jwk("a"), jwk("a")), "not one for each key"),
        (published(jwk("a") | {"kid": None}), "not one for each key"),
        (published(jwk("a::b")), "with other characters"),
        (lambda asked: Answer(302, "", {"Location": "https://elsewhere.example"}), "found HTTP 302"),
        (published({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}), "a secret one"),
        (published(jwk("a") | {"d": "AQAB"}), "a secret one"),
        (lambda asked: Answer(200, "no json"), "expected a JWKS of public keys"),
        (lambda asked: Answer(200, ["keys"]), "expected a JWKS of public keys"),
    ],
)
def test_an_issuer_that_publishes_no_usable_keys_stops_the_deployment(answer: Any, says: str) -> None:
    with served(answer) as url:
        entry = ConsumerEntry.model_validate({"jwksUrl": f"{url}/jwks.json"})
        with pytest.raises(pulumi.RunError, match=says) as refused:
            read_issuers({"partner": entry}, ())
    assert str(refused.value).startswith("gatewayConsumers.partner.jwksUrl: expected")


def test_two_issuers_with_a_key_of_the_same_name_are_refused() -> None:
    with served(published(jwk("a"))) as url:
        both = {name: ConsumerEntry.model_validate({"jwksUrl": f"{url}/jwks"}) for name in ("one", "two")}
        with pytest.raises(pulumi.RunError, match="expected kids that no other consumer has, found a of one too"):
            read_issuers(both, ())
        with pytest.raises(pulumi.RunError, match="found a of rag-client too"):
            read_issuers({"one": both["one"]}, ["a"])


def test_an_issuer_that_is_away_stops_the_deployment() -> None:
    with served(published()) as url:
        pass
    with pytest.raises(UnusableKeys, match="found ConnectionError"):
        read_jwks(url)


BAD = [
    (consumer(keys={}), "gatewayConsumers.web: expected keys or jwksUrl, found neither"),
    (consumer(keys={"a": {"algorithm": "RS256"}}), "expected publicKey with RS256, found none"),
    (consumer(keys={"a": {"algorithm": "none"}}), "gatewayConsumers.web.keys.a.algorithm"),
    (consumer(keys={"a": {"algorithm": "HS256", "publicKey": pem("RS256")}}), "expected no publicKey with HS256"),
    (consumer(keys={"a": {"algorithm": "HS256"}}), "gatewayConsumers.web.keys.a: expected its secret, found none"),
    (consumer(jwksUrl="http://auth.example.com/jwks"), "gatewayConsumers.web.jwksUrl"),
    (consumer(keys={"a b": {"algorithm": "RS256", "publicKey": pem("RS256")}}), "gatewayConsumers.web.keys.a b"),
    (consumer(rateLimitPerMinute=0), "gatewayConsumers.web.rateLimitPerMinute"),
    (consumer(rateLimitPerMinute=1000), "expected at most gatewayFloodBurst (200), found 1000"),
    (consumer(group=["a"]), "gatewayConsumers.web.group"),
    ({CLIENT: consumer()["web"]}, "expected another name, found that of the platform's own client"),
    ({"web": consumer()["web"], "app": consumer()["web"]}, "expected a key of its own, found that of web"),
]


@pytest.mark.parametrize(("consumers", "says"), BAD, ids=[says[:60] for _, says in BAD])
def test_a_consumer_that_could_not_be_what_it_says_is_refused(consumers: Any, says: str) -> None:
    assert says in mistakes(gatewayConsumers=consumers)


def test_what_belongs_together_is_checked_together() -> None:
    assert "expected gatewayKeyClaim kid" in mistakes(
        gatewayConsumers={"a": {"jwksUrl": "https://auth.example.com/jwks"}}, gatewayKeyClaim="iss"
    )
    unknown = {"notes": {"image": "you/n:1", "routes": [{"paths": ["/n"], "groups": ["staff"]}]}}
    assert "expected a consumer in the group staff" in mistakes(services=unknown)
    assert "gatewayJwtSecrets: expected a secret, found plain text" in mistakes(gatewayJwtSecrets={"a": "x" * 32})


def rendered(secrets: Mapping[str, str] = SECRETS, routes: tuple[RouteEntry, ...] = (), **changes: Any) -> Any:
    services = {"notes": ServiceEntry(image="you/n:1", routes=routes)} if routes else {}
    return yaml.safe_load(declarative.render(gateway_of(settings(**changes), REFERENCE | services), secrets))


def test_a_secret_of_yours_signs_with_any_key_name_and_stands_in_no_description() -> None:
    kid, secret = "https://auth.example.com/", "a secret of mine, with: signs & blanks"
    chosen = {"mine": {"keys": {kid: {"algorithm": "HS512"}}}}
    tree = rendered({**SECRETS, jwt_secret(kid, given=True): secret}, consumers=chosen)
    [_, mine] = tree["consumers"]
    assert mine["jwt_secrets"] == [{"key": kid, "secret": secret, "algorithm": "HS512"}]
    described = declarative.document(gateway_of(settings(consumers=chosen), REFERENCE))
    assert secret not in json.dumps(described)
    with pytest.raises(ValueError, match="gatewayJwtSecrets: expected 32 printable characters or more"):
        rendered({**SECRETS, jwt_secret(kid, given=True): "short"}, consumers=chosen)


def test_a_route_lets_in_the_groups_that_it_names_and_the_platforms_own_client() -> None:
    routes = (RouteEntry(paths=("/staff",), groups=("staff",)), RouteEntry(paths=("/all",)))
    key = {"algorithm": "RS256", "publicKey": pem("RS256")}
    tree = rendered(routes=routes, consumers=consumer(groups=["staff"]) | {"app": {"keys": {"app-1": key}}})
    found = {service["name"]: [plugin["name"] for plugin in service["plugins"]] for service in tree["services"]}
    assert "acl" in found["notes"]
    assert "acl" not in found["notes-1"]
    groups = {each["username"]: [acl["group"] for acl in each.get("acls", [])] for each in tree["consumers"]}
    assert groups == {CLIENT: ["staff"], "web": ["staff"], "app": []}


def test_a_limit_of_ones_own_counts_the_consumer() -> None:
    [client, web] = rendered(consumers=consumer(rateLimitPerMinute=7))["consumers"]
    assert "plugins" not in client
    [limit] = web["plugins"]
    assert (limit["name"], limit["config"]["minute"], limit["config"]["limit_by"]) == ("rate-limiting", 7, "consumer")


def test_without_consumers_of_ones_own_nothing_is_declared_otherwise() -> None:
    [client] = rendered()["consumers"]
    assert client == {
        "username": CLIENT,
        "jwt_secrets": [{"key": "rag-client-1", "secret": SECRETS["jwt-rag-client-1"], "algorithm": "HS256"}],
    }


KEYS = {
    "rag-client-1": {"consumer": CLIENT, "algorithm": "HS256", "secret": "a" * 64},
    "web-1": {"consumer": "web", "algorithm": "HS512", "secret": "b" * 64},
}


@pytest.mark.parametrize(
    ("asked", "kid"),
    [({}, "rag-client-1"), ({"consumer": "web"}, "web-1"), ({"key": "web-1"}, "web-1")],
)
def test_a_token_is_signed_with_the_key_that_is_asked_for(asked: dict[str, str], kid: str) -> None:
    assert choose_key(KEYS, **asked) == kid
    token = mint_token(kid, KEYS[kid]["secret"], algorithm=KEYS[kid]["algorithm"])
    claims = jwt.decode(token, KEYS[kid]["secret"], algorithms=[KEYS[kid]["algorithm"]])
    assert jwt.get_unverified_header(token)["kid"] == claims["iss"] == kid
    assert claims["exp"] > time.time()


def test_a_stack_of_an_earlier_release_signs_with_the_key_that_it_tells_of() -> None:
    outputs = {"gatewayJwtKey": "rag-client-1", "gatewayJwtSecret": "a" * 64}
    assert signing_keys(outputs)["rag-client-1"]["secret"] == "a" * 64
    assert signing_keys(outputs | {"gatewaySigningKeys": KEYS}) == KEYS


@pytest.mark.parametrize("asked", [{"key": "partner-1"}, {"consumer": "partner"}, {"consumer": "web", "key": "x"}])
def test_a_key_that_is_anothers_signs_nothing(asked: dict[str, str]) -> None:
    with pytest.raises(OperatorError, match="rag-client-1 \\(of rag-client\\), web-1 \\(of web\\); found") as refused:
        choose_key(KEYS, **asked)
    assert "aaaa" not in str(refused.value)
