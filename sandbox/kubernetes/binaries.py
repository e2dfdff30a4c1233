"""Kubernetes' own programs, built from pinned Go modules."""

import hashlib
from pathlib import Path

from sandbox.go_build import CACHE, build, pinned

TOOLS = Path(__file__).parent / "tools"
MODULE = "k8s.io/kubernetes"
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
VERSION_SYMBOLS = "k8s.io/component-base/version"
STATIC = ("CGO_ENABLED=0",)  # programs that need nothing of the file system they run on


def provide() -> Path:
    """The folder with the programs, built first unless this machine has them: some five minutes of two cores."""
    version = pinned(TOOLS, MODULE)
    major, minor, _ = version.removeprefix("v").split(".")
    symbols = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {VERSION_SYMBOLS}.{key}={value}" for key, value in symbols.items())
    packages = (*(f"{MODULE}/cmd/{command}" for command in COMMANDS), "./coredns", "./pause")
    target = CACHE / f"kubernetes-{version}-{_digest()}"
    return build(target, f"Kubernetes {version}", TOOLS, "-ldflags", flags, *packages, settings=STATIC)


def _digest() -> str:
    """The folder's name changes with what is built."""
    sources = sorted(path for path in TOOLS.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
