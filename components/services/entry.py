"""What a stack file may say of a service, the reference service included: it runs here, or elsewhere."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from components.gateway.description import Name
from components.gateway.plugins import BodyMib, Origin, Path
from platforms.settings import Entry, PortNumber

HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}$")]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FilePath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._-]+)+$")]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
RUNS_HERE = (
    "image",
    "build",
    "env",
    "secret_files",
    "secret_env",
    "data_dir",
    "folders",
    "connects_to",
    "liveness",
    "published_port",
)


class RouteEntry(Entry):
    """Paths of the gateway that lead to the service; each call needs a token and counts against the rate limit."""

    name: Name | None = Field(default=None, description="in Kong; empty: the service's")
    paths: tuple[Path, ...] = Field(min_length=1)
    methods: tuple[Method, ...] = Field(default=("GET", "HEAD", "POST"), min_length=1)
    strip: bool = Field(default=False, description="whether the service gets the path without what matched")
    read_timeout_seconds: int = Field(default=60, ge=1, le=3600, description="how long it may stay silent")
    streaming: bool = Field(default=False, description="answers pass as they come, as server-sent events must")
    rate_limit_per_minute: int | None = Field(
        default=None, ge=1, description="of one client address; empty: the gateway's"
    )
    groups: tuple[Name, ...] = Field(default=(), description="whose consumers may call; empty: all with a token")
    max_body_mib: BodyMib | None = Field(default=None, description="of its largest body; empty: the gateway's")
    cors_origins: tuple[Origin, ...] | None = Field(default=None, description="empty: the gateway's")
    cors_headers: tuple[Name, ...] = Field(default=(), description="that browsers may send beside Authorization")
    service_token: bool = Field(default=True, description="whether X-Service-Token is added; false for a third party's")
    passes_token: bool = Field(default=True, description="whether the service gets the caller's Authorization header")


class ProbeEntry(Entry):
    """A call by which loads, faults and changes judge a service of yours, and what a good answer is."""

    method: Method = "GET"
    path: Path
    body: dict[str, Any] | None = None
    status: int = Field(default=200, ge=100, le=599)
    contains: str = Field(default="", description="text that a good answer has in it")


class ServiceEntry(Entry):
    """One service by its name: `image` or `build` runs here, `at` runs elsewhere."""

    image: str = ""
    build: str = Field(default="", description="a folder with a Dockerfile, beside the stack file; Docker only")
    build_args: dict[Variable, str] = Field(default_factory=dict)
    at: tuple[HostPort, ...] = Field(default=(), description="host:port of each replica, as the gateway reaches it")
    tls: bool = Field(default=False, description="whether `at` speaks TLS with a certificate of a public authority")
    networks: tuple[Name, ...] = Field(
        default=(), description="of other compose projects, that the gateway joins; Docker only"
    )

    port: PortNumber = 8080
    health: Path = "/health"
    liveness: Path | None = Field(
        default=None, description="a process that does not answer it for a minute is restarted, on Kubernetes"
    )
    replicas: int = Field(default=1, ge=1)
    most_replicas: int | None = Field(default=None, ge=1, description="how many autoscaling may run")
    memory_mib: int = Field(default=256, ge=16)
    cpus: float = Field(default=1, gt=0)
    start_seconds: int = Field(default=120, ge=1)
    grace_seconds: int = Field(default=30, ge=1, le=3600, description="between the signal to end and the kill")
    user: int = Field(default=1000, ge=1, description="the number it runs as, on Kubernetes")

    env: dict[Variable, str] = Field(default_factory=dict)
    secret_files: dict[FilePath, str] = Field(default_factory=dict)
    secret_env: dict[Variable, str] = Field(
        default_factory=dict, description="only with a written exception from secrets-stay-out-of-sight"
    )
    data_dir: FilePath | None = None
    data_gib: int = Field(default=10, ge=1)
    folders: dict[FilePath, str] = Field(
        default_factory=dict, description="path -> folder beside the stack file, read-only; Docker only"
    )
    scratch_dirs: tuple[FilePath, ...] = ("/tmp",)  # noqa: S108  the container's own
    connects_to: tuple[HostPort, ...] = Field(
        default=(), description="neighbours that no reference names, as name:port"
    )
    reaches_out: tuple[PortNumber, ...] = Field(default=(), description="ports outside the stack")
    published_port: PortNumber | None = Field(default=None, description="on this machine, for its operator")

    metrics: Path | None = Field(default=None, description="the path that Prometheus scrapes")
    job: Name | None = Field(default=None, description="the name of that job; empty: the service's")
    routes: tuple[RouteEntry, ...] = ()
    probe: ProbeEntry | None = None

    @model_validator(mode="after")
    def it_runs_in_one_place(self) -> Self:
        ways = [way for way in ("image", "build", "at") if getattr(self, way)]
        if len(ways) != 1:
            raise ValueError(f"expected one of image, build and at, found {' and '.join(ways) or 'none'}; keep one")
        if self.at and (extra := sorted(self.model_fields_set & {*RUNS_HERE} - {"at"})):
            raise ValueError(
                f"expected nothing of what runs here beside at, found {', '.join(map(to_camel, extra))}; leave it out"
            )
        if not self.at and (extra := sorted(self.model_fields_set & {"tls", "networks"})):
            raise ValueError(f"expected {' and '.join(extra)} only beside at, found {ways[0]}; leave it out")
        return self

    @model_validator(mode="after")
    def what_keeps_data_is_not_restarted_for_being_slow(self) -> Self:
        if self.liveness and self.data_dir:
            raise ValueError(
                "expected no liveness beside dataDir, found both: a slow start would never end; leave it out"
            )
        return self

    def texts(self) -> Iterator[tuple[str, str, bool]]:
        """Field, text and whether a secret may stand in it, of every value that may hold references."""
        kinds = (
            ("env", self.env, False),
            ("secretFiles", self.secret_files, True),
            ("secretEnv", self.secret_env, True),
        )
        for field, values, may_be_secret in kinds:
            for key, text in values.items():
                yield f"{field}.{key}", text, may_be_secret
