"""The plugins we use, with every field of Kong 3.9.3's schema, its default and its bounds.

All fields are there, and not only the few we set, because pulumi-kong sees a change made by hand only when it is given
exactly what `GET /plugins` returns. The bounds are there because Kong checks them only during `up`, after the preview.
"""

import re
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from components.gateway.references import is_reference


def _no_template(text: str) -> str:
    if "$(" in text:
        raise ValueError(f"expected plain text, found {text!r}: Kong would evaluate `$(...)` as code")
    return text


def _valid_regex(text: str) -> str:
    try:
        re.compile("" if text == "*" else text)
    except re.error as error:
        raise ValueError(f"expected '*', an origin or a regular expression, found {text!r}: {error}") from error
    return text


def _origin(text: str) -> str:
    """As a browser sends it: lower case, and without the port that the scheme implies."""
    origin = re.sub(r"^(http://.*):80$|^(https://.*):443$", r"\1\2", text.lower())
    found = re.fullmatch(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(?::(\d{1,5}))?", origin)
    if not found or not 0 < int(found[2] or 1) < 65536:
        raise ValueError(
            "expected an origin such as http://localhost:3103, without path or wildcard, because credentials are "
            f"allowed from it; found {text!r}"
        )
    return origin


def _secret(text: str) -> str:
    if not is_reference(text):
        raise ValueError("expected a reference to a secret, found plain text: use reference('its-name')")
    return text


Text = Annotated[str, StringConstraints(min_length=1)]
SecretReference = Annotated[str, AfterValidator(_secret)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
Path = Annotated[str, StringConstraints(pattern=r"^/([A-Za-z0-9.\-_~%:@!$&'()*+,;=]+/?)*$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
Origin = Annotated[str, AfterValidator(_origin)]
BodyMib = Annotated[int, Field(ge=1, le=64)]
Port = Annotated[int, Field(ge=0, le=65535)]
Amount = Annotated[int | float, Field(gt=0)]
Method = Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
HeaderPair = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+:.+$"), AfterValidator(_no_template)]
HeaderRename = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$")]
Pair = Annotated[str, StringConstraints(pattern=r"^[^:]+:+[^:].*$"), AfterValidator(_no_template)]


class Model(BaseModel):
    """Compared and printed by value, never changed, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plugin(Model):
    name: ClassVar[str]

    def config(self) -> dict[str, Any]:
        """Exactly the `config` that `GET /plugins` returns: every field, nulls too."""
        return self.model_dump(mode="json")

    def declared(self) -> dict[str, Any]:
        """The `config` for declarative YAML: what is set, without nulls and deprecated names."""
        return self.model_dump(mode="json", exclude_none=True)


class Jwt(Plugin):
    name = "jwt"

    uri_param_names: tuple[Text, ...] = ("jwt",)
    cookie_names: tuple[Text, ...] = ()
    key_claim_name: Text = "iss"
    secret_is_base64: bool = False
    claims_to_verify: tuple[Literal["exp", "nbf"], ...] | None = None
    anonymous: Text | None = None
    run_on_preflight: bool = True
    maximum_expiration: Annotated[int | float, Field(ge=0, le=31536000)] = 0
    header_names: tuple[Text, ...] = ("authorization",)
    realm: Text | None = None

    @model_validator(mode="after")
    def _a_maximum_needs_exp(self) -> Self:
        if self.maximum_expiration > 0 and "exp" not in (self.claims_to_verify or ()):
            raise ValueError("maximum_expiration: expected 'exp' among claims_to_verify, found it missing: add it")
        return self


class Redis(Model):
    host: Host | None = None
    port: Port = 6379
    timeout: Annotated[int, Field(ge=0, le=2**31 - 2)] = 2000
    username: Text | None = None
    password: SecretReference | None = None
    database: int = 0
    ssl: bool = False
    ssl_verify: bool = False
    server_name: Host | None = None


class RateLimiting(Plugin):
    name = "rate-limiting"

    second: Amount | None = None
    minute: Amount | None = None
    hour: Amount | None = None
    day: Amount | None = None
    month: Amount | None = None
    year: Amount | None = None
    limit_by: Literal["consumer", "credential", "ip", "service", "header", "path"] = "consumer"
    header_name: HeaderName | None = None
    path: Path | None = None
    policy: Literal["local", "cluster", "redis"] = "local"
    fault_tolerant: bool = True
    redis: Redis = Redis()
    hide_client_headers: bool = False
    error_code: Amount = 429
    error_message: Text = "API rate limit exceeded"
    sync_rate: int | float = -1

    def config(self) -> dict[str, Any]:
        config = super().config()
        # Kong 3.x repeats each field of `redis` under its deprecated name, and pulumi-kong compares those too.
        return config | {f"redis_{field}": value for field, value in config["redis"].items()}

    @model_validator(mode="after")
    def _limits_grow_with_their_periods(self) -> Self:
        periods = ("second", "minute", "hour", "day", "month", "year")
        limits = [(period, limit) for period in periods if (limit := getattr(self, period)) is not None]
        if not limits:
            raise ValueError(f"expected a limit for at least one of {', '.join(periods)}, found none: set one")
        for (short, few), (long, many) in pairwise(limits):
            if many < few:
                raise ValueError(f"expected {long} >= {short}, found {many} < {few}: raise {long} or lower {short}")
        return self

    @model_validator(mode="after")
    def _what_is_counted_is_named(self) -> Self:
        for field, wanted in (("header_name", "header"), ("path", "path")):
            if self.limit_by == wanted and getattr(self, field) is None:
                raise ValueError(f"limit_by '{wanted}': expected {field}, found none: name it")
        if self.policy == "redis" and self.redis.host is None:
            raise ValueError("policy 'redis': expected redis.host, found none: name the server")
        if self.sync_rate != -1 and (self.policy != "redis" or self.sync_rate < 0.02):
            raise ValueError(f"sync_rate: expected -1, or with redis at least 0.02, found {self.sync_rate}: use -1")
        return self


class RequestSizeLimiting(Plugin):
    name = "request-size-limiting"

    allowed_payload_size: Annotated[int, Field(gt=0)] = 128
    size_unit: Literal["megabytes"] = "megabytes"  # of 2**20 bytes each
    require_content_length: bool = False


class Cors(Plugin):
    name = "cors"

    origins: tuple[Annotated[Text, AfterValidator(_valid_regex)], ...] | None = None
    headers: tuple[Text, ...] | None = None
    exposed_headers: tuple[Text, ...] | None = None
    methods: tuple[Method, ...] = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    max_age: int | float | None = None
    credentials: bool = False
    private_network: bool = False
    preflight_continue: bool = False


class Acl(Plugin):
    name = "acl"

    allow: tuple[Text, ...] | None = None
    deny: tuple[Text, ...] | None = None
    hide_groups_header: bool = False
    always_use_authenticated_groups: bool = False


class Names(Model):
    body: tuple[Text, ...] = ()
    headers: tuple[HeaderName, ...] = ()
    querystring: tuple[Text, ...] = ()


class Renames(Model):
    body: tuple[Pair, ...] = ()
    headers: tuple[HeaderRename, ...] = ()
    querystring: tuple[Pair, ...] = ()


class Values(Model):
    body: tuple[Pair, ...] = ()
    headers: tuple[HeaderPair, ...] = ()
    querystring: tuple[Pair, ...] = ()


class Replacements(Values):
    uri: Annotated[Text, AfterValidator(_no_template)] | None = None


class RequestTransformer(Plugin):
    name = "request-transformer"

    http_method: Annotated[str, StringConstraints(pattern=r"^[A-Z]+$")] | None = None
    remove: Names = Names()
    rename: Renames = Renames()
    replace: Replacements = Replacements()
    add: Values = Values()
    append: Values = Values()


class Queue(Model):
    max_batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    max_coalescing_delay: Annotated[int | float, Field(ge=0, le=3600)] = 1
    max_entries: Annotated[int, Field(ge=1, le=1_000_000)] = 10000
    max_bytes: int | None = None
    max_retry_time: int | float = 60
    initial_retry_delay: Annotated[int | float, Field(ge=0.001, le=1_000_000)] = 0.01
    max_retry_delay: Annotated[int | float, Field(ge=0.001, le=1_000_000)] = 60
    concurrency_limit: Literal[-1, 1] = 1


TraceHeader = Literal["w3c", "b3", "b3-single", "jaeger", "ot", "aws", "gcp", "datadog"]


class Propagation(Model):
    extract: tuple[TraceHeader, ...] | None = None
    clear: tuple[HeaderName, ...] | None = None
    inject: tuple[TraceHeader | Literal["preserve"], ...] | None = None
    default_format: TraceHeader = "w3c"


class OpenTelemetry(Plugin):
    name = "opentelemetry"

    traces_endpoint: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    logs_endpoint: Text | None = None
    headers: dict[str, str] | None = None
    resource_attributes: dict[str, str] | None = None
    queue: Queue = Queue()
    batch_span_count: int | None = None
    batch_flush_delay: int | None = None
    connect_timeout: Annotated[int, Field(ge=0, le=2**31 - 2)] = 1000
    send_timeout: Annotated[int, Field(ge=0, le=2**31 - 2)] = 5000
    read_timeout: Annotated[int, Field(ge=0, le=2**31 - 2)] = 5000
    http_response_header_for_traceid: HeaderName | None = None
    header_type: Literal["preserve"] = "preserve"
    sampling_rate: Annotated[int | float, Field(ge=0, le=1)] | None = None
    propagation: Propagation = Propagation()


class Prometheus(Plugin):
    name = "prometheus"

    per_consumer: bool = False
    status_code_metrics: bool = False
    ai_metrics: bool = False
    latency_metrics: bool = False
    bandwidth_metrics: bool = False
    upstream_health_metrics: bool = False


AnyPlugin = Jwt | Acl | RateLimiting | RequestSizeLimiting | Cors | RequestTransformer | Prometheus | OpenTelemetry
