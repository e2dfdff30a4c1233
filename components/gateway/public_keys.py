"""Public keys that tokens are verified with: one that the stack file gives as PEM, or all of an issuer's JWKS."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import requests

Symmetric = Literal["HS256", "HS384", "HS512"]
Asymmetric = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
# A `kid`, or an `iss`, which is a URL often; no `::`, which parts the names that Pulumi makes of it.
KEY_NAME, LONGEST_NAME = r"^[A-Za-z0-9._~/@+=-]+(:[A-Za-z0-9._~/@+=-]+)*$", 200
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
TIMEOUT_SECONDS = 10
FEWEST_RSA_BITS = 2048


@dataclass(frozen=True)
class PublicKey:
    """One key: what tokens are signed with, and its PEM (SubjectPublicKeyInfo)."""

    algorithm: str
    pem: str


class UnusableKeys(ValueError):
    """The keys cannot be used: expected, found, what to do; never a key."""


def checked(algorithm: str, pem: str) -> str:
    """The PEM of a public key that verifies this algorithm; UnusableKeys for anything else."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # slow to load, and rarely needed

    if "PRIVATE KEY" in pem:
        raise UnusableKeys("expected a public key, found a private one: its issuer alone may have that; take it out")
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise UnusableKeys(
            "expected a public key in PEM (-----BEGIN PUBLIC KEY-----), found other text; openssl pkey -pubout makes it"
        ) from None
    return _pem(_fitting(algorithm, key))


def read_jwks(url: str) -> dict[str, PublicKey]:
    """`kid` -> key, as the issuer publishes them now; UnusableKeys when it does not."""
    from jwt import PyJWKSet
    from jwt.exceptions import PyJWTError

    try:
        # Not followed elsewhere: the stack file names who is believed.
        answer = requests.get(
            url, timeout=TIMEOUT_SECONDS, headers={"Accept": "application/json"}, allow_redirects=False
        )
        if answer.status_code != 200:
            raise requests.HTTPError(response=answer)
        listed = _listed(json.loads(answer.text))
        keys = {key.key_id: key for key in PyJWKSet.from_dict({"keys": listed}).keys}
    except requests.RequestException as error:
        why = f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
        raise UnusableKeys(
            f"expected the keys of its issuer at {url}, found {why}; until it answers the gateway keeps those it has"
        ) from error
    except (PyJWTError, ValueError, KeyError, TypeError) as error:
        raise UnusableKeys(
            f"expected a JWKS of public keys at {url}, found {error}; look at what it answers"
        ) from error
    fitting = {str(kid): (key.algorithm_name, _fitting(key.algorithm_name, key.key)) for kid, key in keys.items()}
    return {kid: PublicKey(algorithm, _pem(key)) for kid, (algorithm, key) in fitting.items()}


def _listed(found: Any) -> list[Mapping[str, Any]]:
    """Those of its keys that sign tokens; each must be public, and have a `kid` of its own."""
    keys = [key for key in found["keys"] if key.get("use", "sig") == "sig"]
    if not keys:
        raise ValueError("none that signs tokens")
    if [key for key in keys if key.get("kty") == "oct" or "d" in key]:
        raise ValueError("a secret one, which everybody can read there")
    kids = [key.get("kid") for key in keys]
    if None in kids or len(set(kids)) < len(kids):
        raise ValueError(f"the kids {kids}, not one for each key")
    if odd := [kid for kid in kids if not re.fullmatch(KEY_NAME, str(kid)) or len(kid) > LONGEST_NAME]:
        raise ValueError(f"the kids {odd}, with other characters than letters, digits and ._~/:@+=-, or too long")
    return keys


def _fitting(algorithm: str, key: Any) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm not in get_args(Asymmetric):
        raise UnusableKeys(f"expected one of {', '.join(get_args(Asymmetric))}, found {algorithm}")
    kinds = {"RS": rsa.RSAPublicKey, "PS": rsa.RSAPublicKey, "ES": ec.EllipticCurvePublicKey}
    kind: type = kinds.get(algorithm[:2], ed25519.Ed25519PublicKey)
    curve = getattr(getattr(key, "curve", None), "name", None)
    if not isinstance(key, kind) or curve != CURVES.get(algorithm):
        raise UnusableKeys(f"expected a public key for {algorithm}, found {type(key).__name__} {curve or ''}".strip())
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < FEWEST_RSA_BITS:
        raise UnusableKeys(f"expected an RSA key of {FEWEST_RSA_BITS} bits or more, found {key.key_size}")
    return key


def _pem(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
