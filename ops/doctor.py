"""What this machine has for each command and what it lacks, asked of the checks that the commands make themselves."""

import os
import platform
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from ops.kubernetes_prerequisites import KubernetesPrerequisites
from ops.parts import Parts
from ops.paths import ROOT
from ops.preflight import check_ports, connect_engine
from ops.registry import HUB, answers
from ops.stack import OperatorError, StackFiles
from settings import Settings

DISK_GIB, MEMORY_GIB = 4, 4  # of the dev stack, its images and its index: docs/baselines.md
PLACES = {"images": f"https://{HUB}/v2/", "the CLI and its plugins": "https://get.pulumi.com/install.sh"}
LINE_WIDTH = 80
STATE_WIDTH = 9
DEV = "up, test, load, chaos, roll, breaker, hops, capacity, prove"
PROD = "up STACK=prod, test-k8s, chaos and roll STACK=prod"
ALL = "every command"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that commands need: what was found of it, or what to do where it is missing."""

    what: str
    needed_by: str
    found: str = ""
    missing: str = ""  # expected, found, what to do; empty: it is here
    main: bool = False  # `make up` of this stack cannot run without

    def text(self) -> str:
        state = "missing" if self.missing else "ok"
        return "\n".join(
            [
                _filled(f"{self.what}: {self.found}" if self.found else self.what, f"{state:<{STATE_WIDTH}}"),
                *(_filled(each) for each in self.missing.splitlines()),
                _filled(f"for make {self.needed_by}" if self.needed_by != ALL else f"for {ALL}"),
            ]
        )


def examine(files: StackFiles) -> list[Line]:
    """Ask for everything; nothing is made, started or changed."""
    lines = [Line(what="Python", needed_by=ALL, found=platform.python_version(), main=True)]
    file, settings = _asked("stack file", ALL, files.settings, main=True)
    lines.append(file)
    if settings and settings.stack.platform == "kubernetes":
        lines.append(_asked("cluster", PROD, KubernetesPrerequisites(settings).check, main=True)[0])
    elif settings:
        lines += _docker(settings)
    lines.append(_cli())
    return [*lines, *_parts(files.parts)]


def cannot_run(lines: list[Line]) -> bool:
    """Whether `make up` of the stack would stop at one of them."""
    return any(line.missing and line.main for line in lines)


def _docker(settings: Settings) -> Iterator[Line]:
    line, engine = _asked("Docker engine", DEV, connect_engine, main=not _may_start_an_engine())
    if engine is None:
        advice = "\nAs root on Debian, make up installs and starts one." if _may_start_an_engine() else ""
        yield Line(what=line.what, needed_by=DEV, missing=line.missing + advice, main=line.main)
        yield _disk(ROOT)
        return
    about: dict[str, Any] = engine.info()
    memory, root = about["MemTotal"] / 2**30, Path(about["DockerRootDir"])
    yield Line(what="Docker engine", needed_by=DEV, found=f"{about['ServerVersion']}, {about['NCPU']} processors")
    yield Line(
        what="memory",
        needed_by=DEV,
        found=f"{memory:.1f} GiB of the engine",
        missing="" if memory >= MEMORY_GIB else
        f"expected {MEMORY_GIB} GiB for the dev stack, found {memory:.1f}; give the engine more (Docker Desktop: "
        "Settings, Resources), or end other programs",
    )  # fmt: skip
    yield _disk(root if root.exists() else ROOT)
    yield _asked("ports", DEV, lambda: check_ports(settings, engine), main=True)[0]


def _disk(folder: Path) -> Line:
    free = shutil.disk_usage(folder).free / 2**30
    lacking = f"expected {DISK_GIB} GiB free under {folder}, found {free:.1f}; make room: docker image prune"
    return Line(
        what="disk", needed_by=DEV, found=f"{free:.0f} GiB free", missing="" if free >= DISK_GIB else lacking, main=True
    )


def _cli() -> Line:
    """Not needed to begin with: `make up` downloads or builds it."""
    path = shutil.which("pulumi")
    missing = "" if path else "expected pulumi on PATH, found none yet; make parts downloads or builds it"
    return Line(what="Pulumi CLI", needed_by="up, preview, down, status", found=path or "", missing=missing)


def _parts(parts: Parts) -> Iterator[Line]:
    """Which parts are the real thing; before they were looked for, whether their official places answer."""
    if parts.parts:
        stand_ins = [part.part for part in parts.parts if not part.real]
        found = f"{len(parts.parts)} parts, " + (f"stand-ins: {', '.join(stand_ins)}" if stand_ins else "all real")
        yield Line(what="parts", needed_by=DEV, found=found)
        return
    for what, url in PLACES.items():
        real = "will be the real ones" if answers(url) else "will be built here or replaced by stand-ins, each named"
        yield Line(what=what, needed_by=DEV, found=f"not looked for yet; they {real}")


def _asked(what: str, needed_by: str, check: Callable[[], Any], *, main: bool) -> tuple[Line, Any]:
    """The line of a check that raises what the operator can mend, and what the check returns."""
    try:
        return Line(what=what, needed_by=needed_by, main=main), check()
    except (OperatorError, pulumi.RunError) as error:
        return Line(what=what, needed_by=needed_by, missing=str(error), main=main), None


def _may_start_an_engine() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and "DOCKER_HOST" not in os.environ


def _filled(text: str, first: str = " " * STATE_WIDTH) -> str:
    """Lines of at most 80 columns; no word is cut."""
    return textwrap.fill(
        text, LINE_WIDTH, initial_indent=first, subsequent_indent=" " * STATE_WIDTH,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
