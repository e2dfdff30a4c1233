"""The Pulumi CLI: the one on PATH, else the official download, else a build from its Go module."""

import os
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import requests
from pulumi.automation import PulumiCommand

from sandbox.go_build import CACHE, build, pinned
from sandbox.parts import Found, Part, first
from sandbox.progress import report, working

TOOLS = Path(__file__).parent / "tools"
MODULE = "github.com/pulumi/pulumi/pkg/v3"
VERSION_SYMBOL = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


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


def _present() -> Found | None:
    installed = Path.home() / ".pulumi"  # where Pulumi's own installers put it, on PATH or not
    places = os.environ["PATH"], str(installed / "bin"), str(installed / "versions" / version("pulumi") / "bin")
    path = shutil.which("pulumi", path=os.pathsep.join(places))
    return Found(path, "already on this machine") if path else None


def _downloaded() -> Found | None:
    if not site_answers():
        return None
    try:
        with working("downloading the Pulumi CLI"):
            return Found(PulumiCommand.install().command, "official download")
    except (OSError, subprocess.SubprocessError) as error:
        report(f"the download failed: {error}")
        return None


def _built() -> Found:
    number = pinned(TOOLS, MODULE)
    flags = f"-s -w -X {VERSION_SYMBOL}={number}"
    target = CACHE / f"pulumi-{number}/pulumi"
    binary = build(target, f"the Pulumi CLI {number}", TOOLS, "-ldflags", flags, f"{MODULE}/cmd/pulumi")
    return Found(str(binary), f"{number} built from Go, inline programs only")
