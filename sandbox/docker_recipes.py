"""How our own images are made: a folder each under images/, a tag for each content."""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker  # type: ignore[import-untyped]

from sandbox import docker_base
from sandbox.progress import SetupError, say

ROOT = Path(__file__).parent.parent
STAND_IN_PACKAGES = "fastapi uvicorn httpx numpy qdrant-client psycopg[binary] PyYAML PyJWT"
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an image is built on, and what its context holds beside the files of its folder."""

    name: str
    on: "Recipe | None" = None  # none: the Debian base
    version: str = ""
    debian: str = ""  # the Debian package it runs; none: a stand-in
    brings: Callable[[], Files] = dict


def _access() -> Files:
    """What this machine needs to reach a package index, and what is never committed."""
    certificates = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")).read_bytes()
    keys = {key: os.environ.get(f"PIP_{key.upper()}") for key in ("index_url", "extra_index_url", "trusted_host")}
    settings = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items() if value)
    return {"ca-certificates.crt": certificates, "pip.conf": f"[global]\n{settings}".encode()}


def _requirements() -> Files:
    pins = re.findall(r"^\S+==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {"requirements": STAND_IN_PACKAGES.replace(" ", "\n").encode(), "constraints": "\n".join(pins).encode()}


def _stand_in(name: str) -> Recipe:
    folder = ROOT / "sandbox" / name
    return Recipe(
        name=name, on=WHEELS, brings=lambda: {f"code/{path.name}": path.read_bytes() for path in folder.glob("*.py")}
    )


PYTHON = Recipe(name="python", version="3.11", debian="python3", brings=_access)
WHEELS = Recipe(name="wheels", on=PYTHON, brings=_requirements)
RECIPES = {
    "haproxy": Recipe(name="haproxy", version="2.6", debian="haproxy"),
    "prometheus": Recipe(name="prometheus", version="2.42", debian="prometheus"),
    "postgres": Recipe(name="postgres", version="15", debian="postgresql-15"),
    "python": PYTHON,
    **{name: _stand_in(name) for name in ("qdrant", "kong", "grafana")},
}


def tag_of(recipe: Recipe | None) -> str:
    """The name of an image, which changes with its content and with nothing else."""
    if recipe is None:
        return f"sandbox/base:{hashlib.sha256(docker_base.INPUTS).hexdigest()[:8]}"
    digest = hashlib.sha256(repr((tag_of(recipe.on), sorted(_files(recipe).items()))).encode()).hexdigest()[:8]
    return f"sandbox/{recipe.name}:{'-'.join(filter(None, (recipe.version, digest)))}"


def ensure(client: docker.DockerClient, recipe: Recipe | None) -> str:
    """Build an image, after what it is built on, unless the engine has it; return its name."""
    tag = tag_of(recipe)
    if client.images.list(tag):
        return tag
    if recipe is None:
        docker_base.build(client, *tag.split(":"))
        return tag
    base = {"BASE": ensure(client, recipe.on)}
    labels = {"rag.sandbox.kind": "real" if recipe.debian else "stand-in", "rag.sandbox.stands-in-for": recipe.name}
    say(f"building {tag}")
    try:
        client.images.build(fileobj=_tar(_files(recipe)), custom_context=True, tag=tag, labels=labels, buildargs=base,
                            network_mode="host", rm=True, forcerm=True)  # fmt: skip
    except docker.errors.DockerException as error:
        log = "".join(line.get("stream", "") for line in getattr(error, "build_log", ())).strip()
        raise SetupError(
            f"{tag} was expected to build; found: {error} {log[-200:]}. See images/{recipe.name}."
        ) from error
    return tag


def _files(recipe: Recipe) -> Files:
    folder = ROOT / "sandbox/images" / recipe.name
    return {path.name: path.read_bytes() for path in folder.iterdir()} | recipe.brings()


def _tar(files: Files) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    archive.seek(0)
    return archive
