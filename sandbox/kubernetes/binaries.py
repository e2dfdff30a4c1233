"""Kubernetes' own programs, built from pinned Go modules and kept where every checkout of this machine finds them."""

import hashlib
import re
from pathlib import Path

from sandbox.progress import SetupError, run, say
from sandbox.pulumi_cli import CACHE, go

TOOLS = Path(__file__).parent / "tools"
MODULE = "k8s.io/kubernetes"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
VERSION_SYMBOLS = "k8s.io/component-base/version"


def provide() -> Path:
    """The folder with the programs, built first unless this machine has them: some five minutes of both its cores."""
    version = pinned((TOOLS / "go.mod").read_text())
    folder = CACHE / f"kubernetes-{version}-{_digest()}"
    if not folder.exists():
        say(f"building Kubernetes {version} from its Go modules (minutes, once)")
        major, minor, _ = version.removeprefix("v").split(".")
        told = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        flags = "-s -w " + " ".join(f"-X {VERSION_SYMBOLS}.{key}={value}" for key, value in told.items())
        fresh = CACHE / f"{folder.name}.new"  # an interrupted build leaves nothing that looks finished
        packages = ("./coredns", "./pause", *(f"{MODULE}/cmd/{command}" for command in COMMANDS))
        # CGO_ENABLED=0: programs that need nothing of the file system they run on
        run("env", "CGO_ENABLED=0", "nice", "-n", "10", go(), "build", "-trimpath", "-ldflags", flags,
            "-o", f"{fresh}/", *packages, cwd=TOOLS)  # fmt: skip
        fresh.rename(folder)
    return folder


def pinned(go_mod: str) -> str:
    """The version of Kubernetes that a go.mod pins."""
    if found := re.search(rf"^\s*{re.escape(MODULE)} (v\S+)", go_mod, re.MULTILINE):
        return found[1]
    raise SetupError(f"A line `{MODULE} v…` was expected in {TOOLS}/go.mod; found none. Add it with `go get -tool`.")


def _digest() -> str:
    """What was built changes its place with what it is built from."""
    sources = sorted(path for path in TOOLS.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
