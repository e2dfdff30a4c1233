"""Stack file -> frozen, checked settings."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from components.gateway.consumers import consumer_mistakes, secret_keys
from components.gateway.settings import GatewaySettings
from components.monitoring.settings import CREDENTIALS, ObservabilitySettings
from components.qdrant.collections import collection_mistakes
from components.qdrant.settings import QdrantSettings
from components.services.checks import service_mistakes
from components.services.entry import ServiceEntry, ServiceName
from components.services.rag import INGEST, RagSettings, rag_entries
from components.services.references import secret_names
from components.services.routing import groups_of
from platforms.connect import StackSettings
from platforms.kubernetes.settings import KubernetesSettings
from platforms.settings import FrozenSettings
from platforms.stack_file import PROJECT, is_encrypted, read_stack_file
from policies.invariants import has_moving_tag
from policies.versions import ImageReference
from qdrant_admin.collection.settings import CollectionEntry, CollectionSettings
from slo.promises import Promises

# Objects of secrets: by the names that services use, and by the kids of consumers' keys.
SERVICE_SECRETS, JWT_SECRETS = SECRET_OBJECTS = ("serviceSecrets", "gatewayJwtSecrets")
# Field of an image -> product and oldest version; Qdrant's nodes do not join safely without the fixes of 1.19.1.
OLDEST = {
    "qdrant": ("Qdrant", (1, 19, 1)),
    "kong": ("Kong", (3, 9, 0)),
    "postgres": ("PostgreSQL", (15,)),
}
LONGEST = 300  # characters of a value in a message
ENGINE = "pulumi:"  # keys of the engine itself, such as pulumi:tags
# Secrets are never part of Settings: they are optional keys of the stack file, made once where they are not given.
SECRET_KEYS = frozenset(
    {
        *("qdrantApiKey", "qdrantReadOnlyApiKey", "haproxyPassword", "postgresPassword"),
        *("gatewayServiceToken", "gatewayRedisPassword", "grafanaPassword", *SECRET_OBJECTS),
    }
)


def _camel(prefix: str) -> Callable[[str], str]:
    def key(field: str) -> str:
        head, *tail = field.split("_")
        words = [head, *(word.title() for word in tail)]
        return "".join(words) if not prefix else prefix + "".join(word[0].upper() + word[1:] for word in words)

    return key


# Settings that are credentials: given as secrets, but for a URL of plain http, which keeps none. An encrypted one
# cannot be read from a stack file.
CREDENTIAL_KEYS = frozenset(_camel("observability")(field) for field in CREDENTIALS)
ENCRYPTED = "https://encrypted.invalid"  # fits each of them


class ImageSettings(FrozenSettings):
    """What runs: each image by its pinned reference, `name:tag` or `name:tag@sha256:…`."""

    qdrant: str
    haproxy: str
    postgres: str
    kong: str
    valkey: str = Field(description="needed where calls are counted in a Valkey of our own")
    prometheus: str
    grafana: str
    alertmanager: str
    postgres_exporter: str
    node_exporter: str = Field(description="measures the disks of what keeps data")
    valkey_exporter: str = Field(description="the exporter of that Valkey's metrics")
    blackbox_exporter: str = Field(description="reads when the certificate of a public name ends")
    python: str = Field(description="base of the RAG service's image when it is built here")
    rag: str = Field(description="the RAG service's image; empty: built from services/rag")

    @field_validator("*")
    @classmethod
    def pinned(cls, reference: str, info: ValidationInfo) -> str:
        if info.field_name in ("rag", "valkey", "valkey_exporter", "blackbox_exporter") and not reference:
            return reference
        if "@sha256:" not in reference and has_moving_tag(reference):
            raise ValueError(f"expected an image pinned by tag or digest, such as haproxy:3.2.21; found {reference!r}")
        return reference

    @field_validator(*OLDEST)
    @classmethod
    def is_new_enough(cls, reference: str, info: ValidationInfo) -> str:
        image, field = ImageReference.parse(reference), str(info.field_name)
        product, oldest = OLDEST[field]
        if image.name == field and image.version and not image.reaches(oldest):
            raise ValueError(
                f"expected {product} {'.'.join(map(str, oldest))} or later, by all numbers of its version "
                f"(docs/decisions/0001-versions-and-pins.md); found {reference!r}"
            )
        return reference


class PolicySettings(FrozenSettings):
    """Written exceptions from the policies, which read and judge them themselves (policies/exceptions.py)."""

    exceptions: tuple[dict[str, Any], ...]


class ProgramSettings(StackSettings):
    """What has no section of its own."""

    services: dict[ServiceName, ServiceEntry]
    collections: dict[str, CollectionEntry]

    @field_validator("collections", mode="before")
    @classmethod
    def named_by_their_keys(cls, given: Any) -> Any:
        """Its key is a collection's name."""
        if not isinstance(given, Mapping):
            return given
        return {key: {**entry, "name": key} if isinstance(entry, Mapping) else entry for key, entry in given.items()}


class Settings(BaseModel):
    """A whole stack file, checked; constructing it is the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=AliasGenerator(alias=str))

    stack: ProgramSettings
    kubernetes: KubernetesSettings
    image: ImageSettings
    qdrant: QdrantSettings
    collection: CollectionSettings
    gateway: GatewaySettings
    observability: ObservabilitySettings
    rag: RagSettings
    policy: PolicySettings
    given_secrets: dict[str, tuple[str, ...]] = {}

    @property
    def services(self) -> dict[str, ServiceEntry]:
        """Every service by its name: the roles of the reference service, and those of the stack file in their place."""
        traces = bool(self.observability.traces_url)
        image, base, most = self.image.rag, self.image.python, self.gateway.max_body_mib
        entries = rag_entries(self.rag, image, base=base, traces=traces, max_body_mib=most)
        return entries | self.stack.services

    @property
    def service_secret_names(self) -> Collection[str]:
        """The secrets that services may name: those of the stack file, else any that the Secret may hold."""
        return secret_names(self.services) if self.kubernetes.secret_name else self.given_secrets[SERVICE_SECRETS]

    @property
    def jwt_secret_names(self) -> Collection[str]:
        """The kids that the stack file gives a secret for, else those that the Secret must hold."""
        return secret_keys(self.gateway.consumers) if self.kubernetes.secret_name else self.given_secrets[JWT_SECRETS]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], encrypted: Collection[str] = ()) -> Self:
        """Check a stack's configuration (key without project -> value); all mistakes at once, as a RunError.

        `encrypted` are the keys whose values were given as secrets.
        """
        mistakes = [_unknown(key) for key in config if key not in known_keys()]
        secrets = [key for key in sorted(SECRET_KEYS) if _parsed(config.get(key))]
        mistakes += [
            f"{key}: expected a secret, found plain text; set it with pulumi config set --secret {key}"
            for key in (*secrets, *_exposed(config))
            if key not in encrypted
        ]
        if held := config.get("kubernetesSecretName"):
            advice = f"expected it unset beside kubernetesSecretName, found both; keep it in the Secret {held} alone"
            mistakes += [f"{key}: {advice}" for key in secrets]
        sections: dict[str, Any] = {}
        for prefix, model in SECTIONS.items():
            keys = section_keys(prefix)
            given = {field: _parsed(config[key]) for key, field in keys.items() if key in config}
            try:
                sections[prefix or "stack"] = model.model_validate(given)
            except ValidationError as error:
                hidden = [key for key in keys if key in encrypted]
                mistakes += [_mistake(prefix, detail, hidden) for detail in error.errors(include_url=False)]
        if not mistakes:
            given = {key: tuple(_parsed(config.get(key)) or {}) for key in SECRET_OBJECTS}
            settings = cls.model_construct(**sections, given_secrets=given)
            mistakes = settings.conflicts()
        if mistakes:
            listed = "\n".join(f"  - {mistake}" for mistake in mistakes)
            raise pulumi.RunError(f"the stack file has {len(mistakes)} mistake(s):\n{listed}")
        return settings

    @classmethod
    def from_stack(cls) -> Self:
        """The settings of the stack that is being deployed."""
        config = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}.items()
        ours = {key: value for key, value in config if key.startswith(f"{PROJECT}:")}
        encrypted = {_bare(key) for key in ours if runtime_config.is_config_secret(key)}
        return cls.from_config({_bare(key): value for key, value in ours.items()}, encrypted)

    @classmethod
    def from_file(cls, stack_file: Path, overrides: Mapping[str, Any]) -> Self:
        """The settings of a stack file, with the defaults of Pulumi.yaml beside it; needs no engine.

        `overrides` (key -> value) win. Values that only the engine can decrypt are taken from them: see sealed_keys.
        """
        declared = read_stack_file(stack_file.parent / "Pulumi.yaml").get("config") or {}
        values = {key: entry["default"] for key, entry in declared.items() if "default" in _mapping(entry)}
        values |= read_stack_file(stack_file).get("config") or {}
        given = {_bare(key): value for key, value in values.items() if not key.startswith(ENGINE)}
        encrypted = {key for key, value in given.items() if is_encrypted(value)}
        encrypted -= {key for key in SECRET_OBJECTS if not all(map(is_encrypted, _mapping(given.get(key)).values()))}
        given |= dict.fromkeys(CREDENTIAL_KEYS & encrypted, ENCRYPTED)
        if sealed := sorted(encrypted - SECRET_KEYS - CREDENTIAL_KEYS - overrides.keys()):
            raise pulumi.RunError(
                f"{', '.join(sealed)}: expected plain text, found a secret that only the engine decrypts; set it "
                "without --secret, or use a command that runs the engine"
            )
        return cls.from_config(given | dict(overrides), encrypted)

    def conflicts(self) -> list[str]:
        """Cross-section validation."""
        found = list(collection_mistakes(self.collection, self.stack.collections, self.qdrant.nodes))
        window = Promises.read().slo.longest_window_days
        if self.observability.retention_days < window:
            found.append(
                f"observabilityRetentionDays: expected at least {window}, the longest window of slo/promises.yaml, "
                f"found {self.observability.retention_days}: how much of a budget is left could not be computed"
            )
        if self.kubernetes.edge == "ingress" and not self.gateway.trusted_proxies:
            found.append(
                "gatewayTrustedProxies: expected the addresses of the ingress controller with kubernetesEdge ingress, "
                "such as the network of its pods ([10.244.0.0/16]), found none: all callers would share one rate limit"
            )
        found += self._not_of_this_platform()
        found += service_mistakes(
            self.services,
            platform=self.stack.platform,
            collections=self.stack.collections,
            secrets=self.service_secret_names,
            flood_burst=self.gateway.flood_burst,
        )
        found += consumer_mistakes(
            self.gateway.consumers,
            made_keys=self.gateway.jwt_keys,
            given=self.jwt_secret_names,
            key_claim=self.gateway.key_claim,
            burst=self.gateway.flood_burst,
        )
        held = {group for consumer in self.gateway.consumers.values() for group in consumer.groups}
        found += [
            f"services: expected a consumer in the group {group}, which a route names, found none; add it under groups "
            "of one in gatewayConsumers, or leave it out of the route"
            for group in sorted(groups_of(self.services) - held)
        ]
        if self.gateway.runs_valkey:
            images = {"imageValkey": self.image.valkey, "imageValkeyExporter": self.image.valkey_exporter}
            found += [
                f"{key}: expected an image, or gatewayRedisAddress, with the policy redis; found neither"
                for key, image in images.items()
                if not image
            ]
        if self.stack.platform == "kubernetes" and self.kubernetes.edge != "none" and not self.image.blackbox_exporter:
            found.append("imageBlackboxExporter: expected an image beside kubernetesEdge, found none; name one")
        return found + (_port_clashes(self.published_ports()) if self.stack.platform == "docker" else [])

    def _not_of_this_platform(self) -> list[str]:
        """Settings that the platform cannot keep: refused, and not ignored."""
        if self.stack.platform == "kubernetes":
            built = "imageRag: expected a pushed image, found none: Kubernetes builds nothing"
            return [] if self.image.rag or not self.rag.enabled else [built]
        counts = {"gatewayNodes": self.gateway.nodes, "qdrantBalancers": self.qdrant.balancers}
        return [
            f"{key}: expected 1 with platform docker, which publishes one port of this machine for it; found {count}"
            for key, count in counts.items()
            if count != 1
        ]

    def published_ports(self) -> dict[str, int]:
        """Stack-file key -> port on this machine, each node of Qdrant by itself."""
        nodes = {f"qdrantNodePort (node {n})": self.qdrant.node_port + n for n in range(self.qdrant.nodes)}
        named = {
            _camel(prefix)(field): getattr(getattr(self, prefix), field)
            for prefix in ("qdrant", "gateway", "observability", "rag")
            for field in SECTIONS[prefix].model_fields
            if field.endswith("_port") and field != "node_port"
        }
        runs = {
            "observabilityAlertmanagerPort": self.observability.sends_alerts,
            "observabilityPrometheusPort": not self.observability.prometheus_url,
            "observabilityGrafanaPort": self.observability.grafana,
            "ragIngestPort": self.rag.enabled and INGEST not in self.stack.services,
        }
        own = {
            f"services.{name}.publishedPort": port
            for name, entry in self.stack.services.items()
            if (port := entry.published_port)
        }
        return {key: port for key, port in named.items() if runs.get(key, True)} | nodes | own


# Prefix of a section's keys -> the section.
SECTIONS = {
    "" if name == "stack" else name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def section_keys(prefix: str) -> dict[str, str]:
    """Stack-file key -> field of that section; `qdrantNodes` is `nodes` of the section `qdrant`."""
    return {_camel(prefix)(field): field for field in SECTIONS[prefix].model_fields}


@cache
def known_keys() -> frozenset[str]:
    """Every key a stack file may have."""
    return frozenset(key for prefix in SECTIONS for key in section_keys(prefix)) | SECRET_KEYS


def sealed_keys(stack_file: Path) -> list[str]:
    """Keys of settings that the file holds encrypted: the engine must decrypt them before they can be checked."""
    config = read_stack_file(stack_file).get("config") or {}
    ours = {_bare(key): value for key, value in config.items() if key.startswith(f"{PROJECT}:")}
    return [key for key, value in ours.items() if key not in SECRET_KEYS and is_encrypted(value)]


def _bare(key: str) -> str:
    return key.removeprefix(f"{PROJECT}:")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unknown(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, known_keys(), n=1)
    return f"{key}: no such key" + (f"; did you mean {near[0]}?" if near else "; see Pulumi.yaml for all keys")


def _mistake(prefix: str, detail: Any, hidden: Collection[str]) -> str:
    """A mistake by its key; a value that was given as a secret is not part of it."""
    field, *inner = [str(part) for part in detail["loc"]] or [""]
    own = _camel(prefix)(field) if field else (prefix or "stack")
    key = ".".join([own, *inner])
    if own in hidden or (hidden and not field):
        return f"{key}: expected another value (Pulumi.yaml says which); the one found is a secret, and not shown"
    found = "" if detail["type"] in ("missing", "value_error") else f", found {_shown(detail['input'])}"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')[:LONGEST]}{found}"


def _exposed(config: Mapping[str, Any]) -> list[str]:
    """The credentials among the settings; what travels in plain http is none."""
    given = {key: str(config[key]) for key in sorted(CREDENTIAL_KEYS) if config.get(key)}
    return [key for key, value in given.items() if not value.startswith("http://")]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _parsed(value: Any) -> Any:
    """The engine gives lists and objects as JSON text; text that is no JSON is left to the section's check."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
    except (ValueError, RecursionError):
        return value


def _port_clashes(ports: Mapping[str, int]) -> list[str]:
    owner: dict[int, str] = {}
    clashes = []
    for key, port in ports.items():
        if port in owner:
            clashes.append(f"{key}: port {port} is already taken by {owner[port]}; give one of them another")
        owner.setdefault(port, key)
    return clashes
