"""What a component asks of a platform, without naming one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pulumi

THIS_MACHINE = "host.docker.internal"  # the operator's machine, as a container knows it; on Docker only


@dataclass(frozen=True, kw_only=True)
class Port:
    """One listening port; `published` is its number on this machine for people (replica n gets published + n).

    A `public` one is for clients outside, and names its protocol: Kubernetes puts its edge before it (an Ingress, which
    does the TLS itself, before http; a load balancer before https) where the stack file asks for one; Docker publishes
    to this machine only, public or not.
    """

    number: int
    published: int | None = None
    public: Literal["http", "https"] | None = None


@dataclass(frozen=True, kw_only=True)
class AllowedConnection:
    """A neighbour's port that a workload may connect to; on Kubernetes all others are closed, on Docker none is."""

    name: str
    port: int

    @classmethod
    def to(cls, address: str) -> "AllowedConnection":
        """The connection to `host:port`."""
        host, _, port = address.rpartition(":")
        return cls(name=host, port=int(port))

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.name}:{self.port}"


def port_of(url: str) -> tuple[int, ...]:
    """The port that a URL leads to, for `Workload.reaches_out`; empty for no URL."""
    if not url:
        return ()
    parts = urlsplit(url)
    return (parts.port or (443 if parts.scheme == "https" else 80),)


@dataclass(frozen=True, kw_only=True)
class HttpProbe:
    """Ready means: GET `path` on `port` answers 200."""

    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class CommandProbe:
    """Ready means: `command`, run beside the process, exits 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What it may use, and its weight against its neighbours where processors are scarce.

    Kubernetes bounds both, and reserves the memory and a share of the processors. Docker bounds the memory; of the
    processors a container may use what no container with a greater weight wants.
    """

    memory_mib: int
    cpus: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ImageBuild:
    """An image made from a folder of this repository; only Docker builds, Kubernetes wants a pushed reference."""

    name: str
    context: str
    build_args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A set of equal processes.

    The promises, kept on every platform:

    * replica *n* with data is called `<name>-<n>`: so is its host, and so its peers reach it, ready or not;
      neighbours go by `Service.replica_addresses`; `<name>` reaches any replica of any workload;
    * `data_dir` outlives the process, and each replica has its own;
    * `founding_file` is written into the data of replica 0 once in the life of a stack, before or while it starts for
      the first time, and never again, so that a wiped disk differs from a new one;
    * `files` and `secret_files` (absolute path -> content) are there before the process starts and are read-only;
      `secret_env` is for a program that takes a secret in no other way, and a policy asks for a written exception;
    * `folders` of the operator's machine are read-only;
    * ready means that the probe succeeds, and nothing that depends on the workload starts earlier;
    * `liveness` asks the process itself and none of its neighbours; it may not ask one with data, whose recovery a
      restart would begin anew (on Docker nothing asks it);
    * replicas are replaced one at a time, each after the one before it is ready (and settled, if a `Rollout` is given);
    * a process has no privilege but the `capabilities` it names, and gains none;
    * a process that ends is started again; one that is stopped gets `grace_seconds` from its signal to the kill, of
      which 0 stops it at once, without a signal to end on;
    * its memory is bounded, and so is the number of its processes (on Kubernetes by the kubelet's `podPidsLimit`);
    * `data_dir`, `work_dir`, which has room for large files and goes with the process, and small `scratch_dirs` can be
      written to, and but for `data_dir` are empty in each new container; on Kubernetes nothing else can be written to,
      on Docker nothing else lasts (and data and work belong to root there, unless the image has the directory);
    * it can connect to what it `connects_to`, and to ports outside the stack that it `reaches_out` to (on Docker also
      those of the machine itself, `host.docker.internal`); on Kubernetes to nothing else.

    Advice, for which Docker has no means: `user`, the number it runs as (Docker: the image's own); `spread`, whether
    two replicas must not share a machine; `traffic`, asked before a replica gets traffic where all start together;
    `most_replicas`, how far Kubernetes may go when it is busy.
    """

    image: str | ImageBuild
    replicas: int = 1
    command: tuple[str, ...] = ()  # in place of the image's entry point
    args: tuple[str, ...] = ()  # in place of the image's arguments
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    secret_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secret_env: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    data_dir: str | None = None
    data_gib: int = 10  # Docker's disks have no size of their own
    founding_file: str | None = None
    scratch_dirs: tuple[str, ...] = ()
    work_dir: str | None = None
    work_gib: int = 10  # Docker's disks have no size of their own
    folders: Mapping[str, str] = field(default_factory=dict)  # path -> folder beside the stack file; on Docker only
    connects_to: tuple[AllowedConnection, ...] = ()
    reaches_out: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()  # of other compose projects, that it joins; on Docker only
    readiness: HttpProbe | CommandProbe | None = None
    traffic: HttpProbe | None = None
    liveness: HttpProbe | CommandProbe | None = None
    start_seconds: int = 120
    grace_seconds: int = 10
    resources: Resources = field(default_factory=lambda: Resources(memory_mib=512))
    capabilities: tuple[str, ...] = ()  # that the image's start needs; on Kubernetes it does not start as root
    user: int = 1000
    spread: Literal["must", "should"] = "should"
    most_replicas: int | None = None

    def __post_init__(self) -> None:
        if self.liveness and self.data_dir:
            raise ValueError(f"expected no liveness probe beside data in {self.data_dir}, found one; leave it out")
