"""Stack file -> frozen, checked settings."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

import pulumi
import yaml
from pulumi.runtime import config as runtime_config
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from components.gateway.settings import GatewaySettings
from components.monitoring.observability import ObservabilitySettings
from components.qdrant.settings import QdrantSettings
from components.services.checks import service_mistakes
from components.services.entry import ServiceEntry, ServiceName
from components.services.rag import INGEST, RagSettings, rag_entries
from components.services.references import secret_names
from platforms.connect import StackSettings
from platforms.kubernetes.settings import KubernetesSettings
from platforms.settings import FrozenSettings
from policies.invariants import has_moving_tag, replicas_fit
from qdrant_admin.collection.settings import CollectionSettings
from slo.promises import Promises

PROJECT = "rag-platform"
SERVICE_SECRETS = "serviceSecrets"  # an object: name -> secret
OLDEST_QDRANT = (1, 19, 1)
# Secrets are never part of Settings: they are optional keys of the stack file, made once where they are not given.
SECRET_KEYS = frozenset(
    {
        *("qdrantApiKey", "qdrantReadOnlyApiKey", "haproxyPassword", "postgresPassword"),
        *("gatewayServiceToken", "gatewayRedisPassword", "grafanaPassword", SERVICE_SECRETS),
    }
)


def _camel(prefix: str) -> Callable[[str], str]:
    def key(field: str) -> str:
        head, *tail = field.split("_")
        words = [head, *(word.title() for word in tail)]
        return "".join(words) if not prefix else prefix + "".join(word[0].upper() + word[1:] for word in words)

    return key


# URLs that may be credentials: given in plain text or as secrets; an encrypted one cannot be read from a stack file.
CREDENTIAL_URLS = frozenset({"observabilityAlertWebhook", "observabilityAlertWatchdogUrl"})
ENCRYPTED_URL = "https://encrypted.invalid"


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
    valkey_exporter: str = Field(description="the exporter of that Valkey's metrics")
    python: str = Field(description="base of the RAG service's image when it is built here")
    rag: str = Field(description="the RAG service's image; empty: built from services/rag")

    @field_validator("*")
    @classmethod
    def pinned(cls, reference: str, info: ValidationInfo) -> str:
        if info.field_name in ("rag", "valkey", "valkey_exporter") and not reference:
            return reference
        if "@sha256:" not in reference and has_moving_tag(reference):
            raise ValueError(f"expected an image pinned by tag or digest, such as haproxy:3.2.21; found {reference!r}")
        return reference

    @field_validator("qdrant")
    @classmethod
    def knows_how_to_join(cls, reference: str) -> str:
        version = re.search(r"qdrant/qdrant:v(\d+)\.(\d+)\.(\d+)", reference)
        if version and tuple(map(int, version.groups())) < OLDEST_QDRANT:
            raise ValueError(
                f"expected Qdrant {'.'.join(map(str, OLDEST_QDRANT))} or later, without whose fixes nodes do not join "
                f"safely (docs/decisions/0001-versions-and-pins.md); found {reference!r}"
            )
        return reference


class PolicySettings(FrozenSettings):
    """Written exceptions from the policies, which read and judge them themselves (policies/exceptions.py)."""

    exceptions: tuple[dict[str, Any], ...]


class ProgramSettings(StackSettings):
    """What has no section of its own."""

    services: dict[ServiceName, ServiceEntry]


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
    service_secrets: tuple[str, ...] = ()  # the names of those that the stack file gives

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
        return secret_names(self.services) if self.kubernetes.secret_name else self.service_secrets

    @classmethod
    def from_config(cls, config: Mapping[str, Any], encrypted: Collection[str] = ()) -> Self:
        """Check a stack's configuration (key without project -> value); all mistakes at once, as a RunError.

        `encrypted` are the keys whose values were given as secrets.
        """
        mistakes = [_unknown(key) for key in config if key not in known_keys()]
        secrets = [key for key in sorted(SECRET_KEYS) if _parsed(config.get(key))]
        mistakes += [
            f"{key}: expected a secret, found plain text; set it with pulumi config set --secret {key}"
            for key in secrets
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
                mistakes += [_mistake(prefix, detail) for detail in error.errors()]
        if not mistakes:
            given = _parsed(config.get(SERVICE_SECRETS)) or {}
            settings = cls.model_construct(**sections, service_secrets=tuple(given))
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
        """The settings of a stack file, with the defaults of Pulumi.yaml beside it; needs no engine."""
        declared = yaml.load((stack_file.parent / "Pulumi.yaml").read_text(), yaml.CSafeLoader)["config"]
        values = {key: entry["default"] for key, entry in declared.items() if "default" in entry}
        values |= read_stack_file(stack_file).get("config") or {}
        encrypted = {_bare(key) for key, value in values.items() if _is_encrypted(value)}
        given = {_bare(key): value for key, value in values.items()}
        given |= dict.fromkeys(CREDENTIAL_URLS & encrypted, ENCRYPTED_URL)
        return cls.from_config(given | dict(overrides), encrypted)

    def conflicts(self) -> list[str]:
        """Cross-section validation."""
        found = []
        if not replicas_fit(self.collection.replication_factor, self.qdrant.nodes):
            found.append(
                f"collectionReplicationFactor: expected at most qdrantNodes ({self.qdrant.nodes}), found "
                f"{self.collection.replication_factor}; lower it, or add nodes"
            )
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
            secrets=self.service_secret_names,
            flood_burst=self.gateway.flood_burst,
        )
        if self.gateway.runs_valkey:
            images = {"imageValkey": self.image.valkey, "imageValkeyExporter": self.image.valkey_exporter}
            found += [
                f"{key}: expected an image, or gatewayRedisAddress, with the policy redis; found neither"
                for key, image in images.items()
                if not image
            ]
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
            "observabilityAlertmanagerPort": self.observability.alert_webhook,
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


def read_stack_file(stack_file: Path) -> dict[str, Any]:
    """The contents of a stack file, not checked yet; RunError with the line when it is no YAML."""
    try:
        found = yaml.safe_load(stack_file.read_text()) or {}
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise pulumi.RunError(f"expected YAML in {stack_file.name}{line}, found a mistake: {error.problem}") from error
    if not isinstance(found, dict) or not isinstance(found.get("config") or {}, dict):
        raise pulumi.RunError(f"expected `config:` and keys below it in {stack_file.name}, found something else")
    return found


@cache
def known_keys() -> frozenset[str]:
    """Every key a stack file may have."""
    return frozenset(key for prefix in SECTIONS for key in section_keys(prefix)) | SECRET_KEYS


def _is_encrypted(value: Any) -> bool:
    """Whether a value of a stack file, or each value within it, is encrypted."""
    return isinstance(value, dict) and bool(value) and ("secure" in value or all(map(_is_encrypted, value.values())))


def _bare(key: str) -> str:
    """The key without our project; one without a project begins with a colon, so that it is unknown like another's."""
    return key.removeprefix(f"{PROJECT}:") if ":" in key else f":{key}"


def _unknown(key: str) -> str:
    import difflib

    if key.startswith(":"):
        return f"{key[1:]}: expected the project before the key; write {PROJECT}{key}"
    near = difflib.get_close_matches(key, known_keys(), n=1)
    return f"{key}: no such key" + (f"; did you mean {near[0]}?" if near else "; see Pulumi.yaml for all keys")


def _mistake(prefix: str, detail: Any) -> str:
    field, *inner = [str(part) for part in detail["loc"]] or [""]
    key = ".".join([_camel(prefix)(field) if field else (prefix or "stack"), *inner])
    found = "" if detail["type"] in ("missing", "value_error") else f", found {detail['input']!r}"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')}{found}"


def _parsed(value: Any) -> Any:
    """The engine gives lists and objects as JSON text; text that is no JSON is left to the section's check."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
    except ValueError:
        return value


def _port_clashes(ports: Mapping[str, int]) -> list[str]:
    owner: dict[int, str] = {}
    clashes = []
    for key, port in ports.items():
        if port in owner:
            clashes.append(f"{key}: port {port} is already taken by {owner[port]}; give one of them another")
        owner.setdefault(port, key)
    return clashes
