"""Secrets by name: a description has `${SERVICE_TOKEN}`, and only a rendering has the value."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import pulumi

Value = TypeVar("Value")
SERVICE_TOKEN, REDIS_PASSWORD = "service-token", "redis-password"  # names of secrets
# Keys of secrets between parts of the stack: made again with the setting that needs them, and gone without it.
COME_AND_GO = ("gatewayRedisPassword", "gatewayAdminToken", "postgresMonitorPassword")
_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
OWN_KEY = "jwt-own-"  # begins the names of secrets that sign consumers' tokens, and stand in no header
# Kong evaluates `$(...)` in a header it adds and splits that header at its colon: only harmless characters may pass.
_HARMLESS = re.compile(r"[A-Za-z0-9._~+/=-]{32,}")


def reference(name: str) -> str:
    """The text that stands for the secret `name` (kebab-case) in a description."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"secret name {name!r}: expected lower case letters, digits and dashes, as in 'service-token'")
    return f"${{{name.upper().replace('-', '_')}}}"


def jwt_secret(key: str, *, given: bool = False) -> str:
    """The name of the secret that signs tokens with this `kid`; one that is given may have any."""
    return f"{OWN_KEY}{hashlib.sha256(key.encode()).hexdigest()[:12]}" if given else f"jwt-{key}"


def is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None


def names_in(tree: Any) -> list[str]:
    """The secrets a tree of dicts, lists and strings refers to, sorted."""
    return sorted({found.lower().replace("_", "-") for text in _texts(tree) for found in _REFERENCE.findall(text)})


def fill(tree: Any, secrets: Mapping[str, str]) -> Any:
    """The tree with every reference replaced; a missing or dangerous secret is an error that names it."""
    values = {reference(name): _harmless(name, value) for name, value in _wanted(tree, secrets).items()}
    return _mapped(tree, lambda text: _REFERENCE.sub(lambda found: values[found.group()], text))


def fill_output(tree: Any, secrets: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[Any]:
    """The same for secrets that are known only while the stack runs; the result is a secret."""
    return pulumi.Output.secret(pulumi.Output.all(**_wanted(tree, secrets)).apply(lambda known: fill(tree, known)))


def _wanted(tree: Any, secrets: Mapping[str, Value]) -> dict[str, Value]:
    names = names_in(tree)
    if missing := [name for name in names if name not in secrets]:
        raise ValueError(f"expected the secrets {names}, found none for {missing}: give them to the rendering")
    return {name: secrets[name] for name in names}


def _harmless(name: str, value: str) -> str:
    if name.startswith(OWN_KEY):  # stands in no header, but Kong would look up a reference to a vault
        if len(value) < 32 or not value.isprintable() or value.startswith("{vault:"):
            raise ValueError(
                f"{stack_key(name)}: expected 32 printable characters or more for each key, found {len(value)}; "
                "choose another value"
            )
        return value
    if not _HARMLESS.fullmatch(value):
        raise ValueError(
            f"{stack_key(name)}: expected at least 32 characters, all of them letters, digits or ._~+/=-, for the "
            f"secret '{name}', found {len(value)} characters: choose another value"
        )
    return value


def stack_key(name: str) -> str:
    """The key of the stack file, or of the Secret, that the secret `name` comes from."""
    if name.startswith(OWN_KEY):
        return "gatewayJwtSecrets"
    kind, _, rest = name.partition("-")
    return f"gatewayJwt-{rest}" if kind == "jwt" else f"gateway{name.title().replace('-', '')}"


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(branch)


def _mapped(tree: Any, change: Callable[[str], str]) -> Any:
    if isinstance(tree, dict):
        return {key: _mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_mapped(value, change) for value in tree]
    return change(tree) if isinstance(tree, str) else tree
