"""Who may call the gateway: the platform's own client, and consumers with keys that are yours."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Self, get_args

import pulumi
from pydantic import Field, StringConstraints, model_validator

from components.gateway import plugins
from components.gateway.description import Consumer, JwtCredential, Key, Name
from components.gateway.public_keys import Asymmetric, PublicKey, Symmetric, UnusableKeys, checked, read_jwks
from components.gateway.references import jwt_secret, reference
from platforms.settings import Entry

CLIENT = "rag-client"  # the platform's own consumer: make token, make search, every proof
ConsumerName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
# Plain http only to this machine: on any other way an attacker could put other keys in.
JwksUrl = Annotated[str, StringConstraints(pattern=r"^$|^https://[^\s@]+$|^http://(localhost|127\.0\.0\.1)[:/]\S*$")]


class KeyEntry(Entry):
    """A key of yours: HS… with a secret under `gatewayJwtSecrets`, any other with its public half here."""

    algorithm: Symmetric | Asymmetric = "HS256"
    public_key: str = Field(default="", description="PEM")

    @property
    def is_secret(self) -> bool:
        return self.algorithm in get_args(Symmetric)

    @model_validator(mode="after")
    def the_public_half_fits(self) -> Self:
        if self.is_secret and self.public_key:
            raise ValueError(
                f"expected no publicKey with {self.algorithm}, whose secret stands under gatewayJwtSecrets, found one; "
                "leave it out, or name the algorithm that it verifies"
            )
        if not self.is_secret:
            if not self.public_key:
                raise ValueError(f"expected publicKey with {self.algorithm}, found none; give its PEM")
            checked(self.algorithm, self.public_key)
        return self


class ConsumerEntry(Entry):
    """One caller by its name: its keys, what it may call, and how often."""

    keys: dict[Key, KeyEntry] = Field(default_factory=dict, description="kid -> key")
    jwks_url: JwksUrl = Field(default="", description="of an OpenID provider; its keys are read at each deployment")
    groups: tuple[Name, ...] = Field(default=(), description="routes that name groups let in only those in one of them")
    rate_limit_per_minute: int | None = Field(
        default=None, ge=1, description="of all its calls together; empty: the routes' limits"
    )

    @model_validator(mode="after")
    def it_has_a_key(self) -> Self:
        if not self.keys and not self.jwks_url:
            raise ValueError(
                "expected keys or jwksUrl, found neither: no call could be made as this consumer; give one"
            )
        return self


Jwks = Mapping[str, Mapping[str, PublicKey]]  # consumer -> kid -> key


def read_issuers(entries: Mapping[str, ConsumerEntry], made_keys: Iterable[str]) -> Jwks:
    """The keys of every consumer with a JWKS, as they are published now; RunError when an issuer publishes none."""
    found: dict[str, dict[str, PublicKey]] = {}
    owner = dict.fromkeys(made_keys, CLIENT) | {kid: name for name, entry in entries.items() for kid in entry.keys}
    for name, entry in entries.items():
        if entry.jwks_url:
            try:
                found[name] = read_jwks(entry.jwks_url)
            except UnusableKeys as error:
                raise pulumi.RunError(f"gatewayConsumers.{name}.jwksUrl: {error}") from error
            if taken := sorted(kid for kid in found[name] if owner.setdefault(kid, name) != name):
                raise pulumi.RunError(
                    f"gatewayConsumers.{name}.jwksUrl: expected kids that no other consumer has, found "
                    f"{', '.join(taken)} of {owner[taken[0]]} too; give both to one consumer"
                )
    return found


def secret_keys(entries: Mapping[str, ConsumerEntry]) -> list[str]:
    """The kids whose secrets the stack file gives."""
    return [kid for entry in entries.values() for kid, key in entry.keys.items() if key.is_secret]


def signing_keys(
    entries: Mapping[str, ConsumerEntry],
    made: Mapping[str, pulumi.Input[str]],
    given: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[Any]:
    """`kid` -> consumer, algorithm and secret of every key that this stack can sign a token with; a secret."""
    listed: dict[str, Any] = {
        kid: {"consumer": CLIENT, "algorithm": "HS256", "secret": secret} for kid, secret in made.items()
    }
    for name, entry in entries.items():
        for kid in secret_keys({name: entry}):
            listed[kid] = {"consumer": name, "algorithm": entry.keys[kid].algorithm, "secret": given[kid]}
    return pulumi.Output.secret(listed)


def consumer_mistakes(
    entries: Mapping[str, ConsumerEntry], *, made_keys: Iterable[str], given: Iterable[str], key_claim: str, burst: int
) -> Iterator[str]:
    """What is wrong between consumers, as `gatewayConsumers.<name>…: expected, found, what to do`."""
    owner = dict.fromkeys(made_keys, "gatewayJwtKeys")
    for name, entry in entries.items():
        where = f"gatewayConsumers.{name}"
        if name == CLIENT:
            yield f"{where}: expected another name, found that of the platform's own client; rename it"
        if entry.jwks_url and key_claim != "kid":
            yield f"{where}.jwksUrl: expected gatewayKeyClaim kid, by which an issuer's keys differ, found {key_claim}"
        if (limit := entry.rate_limit_per_minute or 1) > burst:
            yield f"{where}.rateLimitPerMinute: expected at most gatewayFloodBurst ({burst}), found {limit}; raise that"
        for kid, key in entry.keys.items():
            if kid in owner:
                yield f"{where}.keys.{kid}: expected a key of its own, found that of {owner[kid]}; rename one"
            owner[kid] = name
            if key.is_secret and kid not in given:
                yield (
                    f"{where}.keys.{kid}: expected its secret, found none; set it: "
                    f"pulumi config set --secret --path 'rag-platform:gatewayJwtSecrets[\"{kid}\"]'"
                )
    for kid in sorted(set(given) - set(secret_keys(entries))):
        yield f"gatewayJwtSecrets.{kid}: expected the kid of a key under gatewayConsumers, found none; take it out"


def consumers_of(
    entries: Mapping[str, ConsumerEntry],
    jwks: Jwks,
    *,
    made_keys: Iterable[str],
    groups: Iterable[str],
    limit: plugins.RateLimiting,
) -> tuple[Consumer, ...]:
    """The platform's client, which is in every group, and each consumer of the stack file.

    `limit` is how a route is limited; a consumer's own limit counts its calls together, wherever they come from.
    """
    made = tuple(JwtCredential(key=key, secret=reference(jwt_secret(key))) for key in made_keys)
    found = [Consumer(username=CLIENT, jwt_credentials=made, groups=tuple(groups))]
    for name, entry in entries.items():
        most = entry.rate_limit_per_minute
        own = (limit.model_copy(update={"minute": most, "limit_by": "consumer"}),) if most else ()
        keys = tuple(_credentials(entry, jwks.get(name, {})))
        found.append(Consumer(username=name, jwt_credentials=keys, groups=entry.groups, plugins=own))
    return tuple(found)


def _credentials(entry: ConsumerEntry, published: Mapping[str, PublicKey]) -> Iterator[JwtCredential]:
    for kid, key in entry.keys.items():
        secret = reference(jwt_secret(kid, given=True)) if key.is_secret else None
        yield JwtCredential(key=kid, algorithm=key.algorithm, secret=secret, rsa_public_key=key.public_key or None)
    for kid, public in published.items():
        found = {"key": kid, "algorithm": public.algorithm, "rsa_public_key": public.pem}
        yield JwtCredential.model_validate(found)
