"""What a component asks of a platform, in words that name no platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True, kw_only=True)
class Port:
    """One listening port; `published` is its number on this machine for people (replica n gets published + n)."""

    number: int
    published: int | None = None


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
    """An upper bound; Kubernetes also requests it, Docker treats only the memory as a hard limit."""

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

    * replica *n* is reachable as `<name>-<n>`, and as its own hostname; `<name>` reaches any of them;
    * `data_dir` outlives the process, and each replica has its own;
    * `founding_file` is written into the data of replica 0 once in the life of a stack, before its first start, and
      never again, so that a wiped disk is told from a new one;
    * `files` and `secret_files` (absolute path -> content) are there before the process starts and are read-only;
      a secret reaches a process in no other way;
    * ready means that the probe says so, and nothing that depends on the workload starts earlier;
    * replicas are replaced one at a time, each after the one before it is ready (and settled, if a `Rollout` is given);
    * a process has no privilege but the `capabilities` it names, and gains none;
    * a process that ends is started again; `grace_seconds` of 0 stops it at once, without a signal to say goodbye on.
    """

    image: str | ImageBuild
    replicas: int = 1
    command: tuple[str, ...] = ()  # in place of the image's entry point
    args: tuple[str, ...] = ()  # in place of the image's arguments
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    secret_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    data_dir: str | None = None
    founding_file: str | None = None
    readiness: HttpProbe | CommandProbe | None = None
    start_seconds: int = 120
    grace_seconds: int = 10
    capabilities: tuple[str, ...] = ()  # what the image's start needs of root's; on Kubernetes nobody starts as root
    resources: Resources = field(default_factory=lambda: Resources(memory_mib=512))
