"""k6: the one on PATH, else its image, else built here from the Go module that loadtest/go.mod pins."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from docker.errors import DockerException, ImageNotFound

from access.docker_engine import docker_client
from ops.paths import ROOT
from ops.stack import OperatorError

SCRIPTS = ROOT / "loadtest"
CACHE = Path.home() / ".cache/rag-platform"
MODULE = "go.k6.io/k6"
REGISTRY = "https://registry-1.docker.io/v2/"
THRESHOLDS_MISSED = 99  # k6's exit code when it ran, and a threshold was not kept


@dataclass(frozen=True, kw_only=True)
class K6:
    """A k6 that runs scripts of `loadtest/`; `name` says which one it is."""

    name: str
    program: str = ""
    image: str = ""

    def run(self, script: str | Path, out: Path, env: Mapping[str, str]) -> int:
        """Run a script of `loadtest/`, or one in its working folder `out`; secrets reach it in `env` alone."""
        arguments = ["run", "--quiet", "--out", "csv=calls.csv.gz", str(SCRIPTS / script)]
        settings = dict(env) | {"K6_CSV_TIME_FORMAT": "unix_milli", "K6_NO_USAGE_REPORT": "true"}
        return self._in_image(arguments, out, settings) if self.image else self._here(arguments, out, settings)

    def _here(self, arguments: list[str], out: Path, env: Mapping[str, str]) -> int:
        return subprocess.run([self.program, *arguments], cwd=out, env={**os.environ, **env}, check=False).returncode

    def _in_image(self, arguments: list[str], out: Path, env: Mapping[str, str]) -> int:
        """In a container on this machine's own network: the stack is published on its loopback address only."""
        same = {str(path): {"bind": str(path), "mode": mode} for path, mode in ((SCRIPTS, "ro"), (out, "rw"))}
        container = docker_client().containers.run(
            self.image, arguments, environment=dict(env), network_mode="host", volumes=same, working_dir=str(out),
            user=str(os.getuid()), detach=True,
        )  # fmt: skip
        try:
            for line in container.logs(stream=True):
                print(line.decode(errors="replace"), end="")
            return int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True)


def find() -> K6:
    """The first k6 that is to be had; OperatorError when there is none."""
    version = pinned((SCRIPTS / "go.mod").read_text())
    if program := shutil.which("k6"):
        return K6(name="k6, found on PATH", program=program)
    image = f"grafana/k6:{version.removeprefix('v')}"
    if _has_image(image):
        return K6(name=f"{image}, its image", image=image)
    return K6(name=f"k6 {version}, built from its Go module", program=str(_built(version)))


def pinned(go_mod: str) -> str:
    """The version that a go.mod pins."""
    if found := re.search(rf"^\s*(?:require )?{re.escape(MODULE)} (v\S+)", go_mod, re.MULTILINE):
        return found[1]
    raise OperatorError(f"expected a line `{MODULE} v…` in loadtest/go.mod, found none; add it with go get -tool")


def _has_image(image: str) -> bool:
    try:
        engine = docker_client(timeout_seconds=300)
        try:
            engine.images.get(image)
        except ImageNotFound:
            requests.head(REGISTRY, timeout=3)
            engine.images.pull(image)
    except (DockerException, requests.RequestException):
        return False
    return True


def _built(version: str) -> Path:
    binary = CACHE / f"k6-{version}/k6"
    if binary.exists():
        return binary
    if not (go := shutil.which("go")):
        raise OperatorError(
            f"expected k6 on PATH, or grafana/k6 {version} from its registry, or Go to build it with; found none of "
            "them. Install one"
        )
    print(f"building k6 {version} from its Go module (minutes, once)")
    fresh = binary.with_suffix(".new")  # an interrupted build leaves nothing that looks finished
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(fresh), MODULE]
    done = subprocess.run(command, cwd=SCRIPTS, check=False, text=True, capture_output=True)
    if done.returncode:
        raise OperatorError(f"expected k6 to be built, found: {done.stderr.strip()[-400:]}")
    fresh.replace(binary)
    return binary
