"""The jwt plugin: the token's credential, its validity, and the consumer headers for the upstream."""

import json
import re
import time
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl

from jwt import PyJWS
from jwt.exceptions import DecodeError, InvalidSignatureError
from jwt.utils import base64url_decode

from sandbox.kong.call import Call, ExitError, exit_with
from sandbox.kong.entity_schemas import ALGORITHMS
from sandbox.kong.node import Node
from sandbox.kong.schemas import Row
from sandbox.kong.wire import first, without

SIGNED = PyJWS()
IDENTITY = {"X-Consumer-ID": "id", "X-Consumer-Custom-ID": "custom_id", "X-Consumer-Username": "username"}


async def authenticate(call: Call, plugin: Row, node: Node) -> None:
    """Let a call with a valid token pass; any other as the anonymous consumer, if there is one."""
    config = plugin["config"]
    if call.request.method == "OPTIONS" and not config["run_on_preflight"]:
        return
    try:
        credential = await _credential(call, config, node)
        consumer = await node.known("consumers", "id", credential["consumer"]["id"])
    except ExitError:
        if not config["anonymous"]:
            raise
        credential, consumer = None, await _anonymous(config["anonymous"], node)
    call.consumer, call.credential = consumer, credential
    headers = {name: (consumer or {}).get(field) for name, field in IDENTITY.items()}
    headers |= {"X-Credential-Identifier": credential and credential["key"]}
    headers |= {"X-Anonymous-Consumer": None if credential else "true"}
    kept = without(call.request.headers, *(name.lower() for name in headers))
    call.request.headers = kept + [(name, value) for name, value in headers.items() if value]


async def _anonymous(name: str, node: Node) -> Row | None:
    return await node.known("consumers", "id", name) or await node.known("consumers", "username", name)


async def _credential(call: Call, config: Row, node: Node) -> Row:
    """The credential that the one token of the call names and is signed with."""
    challenge = "Bearer" + (f' realm="{config["realm"]}"' if config["realm"] else "")

    def unauthorized(body: str | Row, error: str = ' error="invalid_token"') -> ExitError:
        message = {"message": body} if isinstance(body, str) else body
        return exit_with(401, message, ("WWW-Authenticate", challenge + error))

    tokens, claim = _tokens(call, config), config["key_claim_name"]
    if len(tokens) != 1:
        raise unauthorized("Multiple tokens provided") if tokens else unauthorized("Unauthorized", "")
    token = tokens.pop()
    try:
        header, claims = _unverified(token)
    except ValueError as error:
        raise unauthorized(f"Bad token; {error}") from None
    key = claims.get(claim, header.get(claim))
    if not key:
        raise unauthorized(f"Invalid '{claim}' in claims" if key == "" else f"No mandatory '{claim}' in claims")
    credential = await node.known("jwt_secrets", "key", key)
    if not credential:
        raise unauthorized(f"No credentials found for given '{claim}'")
    if header["alg"] != credential["algorithm"]:
        raise unauthorized("Invalid algorithm")
    symmetric = credential["algorithm"].startswith("HS")
    secret = credential["secret" if symmetric else "rsa_public_key"]
    try:
        verifying = base64url_decode(secret) if symmetric and config["secret_is_base64"] else secret
        SIGNED.decode(token, verifying, algorithms=[credential["algorithm"]])
    except InvalidSignatureError:
        raise unauthorized("Invalid signature") from None
    if wrong := _wrong_claims(claims, config):
        raise unauthorized(wrong)
    return credential


def _tokens(call: Call, config: Row) -> set[str]:
    headers = call.request.headers
    found = {value for name, value in parse_qsl(call.query) if name in config["uri_param_names"] or []}
    cookies = SimpleCookie(first(headers, "cookie"))
    found |= {cookies[name].value for name in config["cookie_names"] or [] if name in cookies}
    sent = [re.match(r"\s*[Bb]earer\s+(.+)", first(headers, name.lower())) for name in config["header_names"] or []]
    return (found | {match[1] for match in sent if match}) - {""}


def _unverified(token: str) -> tuple[Row, Row]:
    """Header and claims; raises ValueError with Kong's word for what is wrong."""
    try:
        parts = SIGNED.decode_complete(token, options={"verify_signature": False})
        header, claims = parts["header"], json.loads(parts["payload"])
    except (DecodeError, ValueError):
        raise ValueError("invalid JSON") from None
    if header.get("alg") not in ALGORITHMS:
        raise ValueError("invalid alg")
    if not isinstance(claims, dict):
        raise ValueError("invalid claims")
    return header, claims


def _wrong_claims(claims: Row, config: Row) -> dict[str, str]:
    now, wrong = int(time.time()), {}
    for name in config["claims_to_verify"] or []:
        value = claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong[name] = "must be a number"
        elif value <= now if name == "exp" else value > now:
            wrong[name] = "token expired" if name == "exp" else "token not valid yet"
    if not wrong and config["maximum_expiration"] and claims["exp"] - now > config["maximum_expiration"]:
        wrong["exp"] = "exceeds maximum allowed expiration"
    return wrong
