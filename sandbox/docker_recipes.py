"""How our own images are made: a folder each under images/, a tag for each content."""

import hashlib
import io
import os
import re
import tarfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import docker

from sandbox import docker_base
from sandbox.progress import SetupError, working

SANDBOX = Path(__file__).parent
ROOT = SANDBOX.parent
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an image is built on, and what its context holds beside the files of its folder."""

    name: str
    on: "Recipe | None" = None  # none: the Debian base
    upon: str = ""  # an image that the engine has, instead
    version: str = ""
    debian: str = ""  # the Debian package it runs
    origin: str = ""  # where else the real thing comes from; neither: a stand-in
    brings: Callable[[], Files] = dict

    @cached_property
    def files(self) -> Files:
        """The build context, read once: what names the image is what goes into it."""
        folder = SANDBOX / "images" / self.name
        own = folder.iterdir() if folder.exists() else ()
        return {path.name: path.read_bytes() for path in own} | self.brings()

    @cached_property
    def base(self) -> str:
        """The image it is built on."""
        return self.upon or (self.on.tag if self.on else docker_base.IMAGE)

    @cached_property
    def tag(self) -> str:
        """Its own name, which changes with its content and with nothing else."""
        digest = hashlib.sha256(repr((self.base, sorted(self.files.items()))).encode()).hexdigest()[:8]
        return f"sandbox/{self.name}:{'-'.join(filter(None, (self.version, digest)))}"


def _access() -> Files:
    """What this machine needs to reach a package index, and what is never committed."""
    certificates = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")).read_bytes()
    keys = {key: os.environ.get(f"PIP_{key.upper()}") for key in ("index_url", "extra_index_url", "trusted_host")}
    settings = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items() if value)
    return {"ca-certificates.crt": certificates, "pip.conf": f"[global]\n{settings}".encode()}


def _requirements() -> Files:
    own = tomllib.loads((SANDBOX / "pyproject.toml").read_text())["dependency-groups"]["stand-ins"]
    pins = re.findall(r"^\S+==\S+", (SANDBOX / "requirements.lock").read_text(), re.MULTILINE)
    return {"requirements": "\n".join(own).encode(), "constraints": "\n".join(pins).encode()}


def _stand_in(name: str) -> Recipe:
    def code() -> Files:
        return {f"code/{path.name}": path.read_bytes() for path in (SANDBOX / name).glob("*.py")}

    return Recipe(name=name, on=WHEELS, brings=code)


def _rag() -> Files:
    """What `docker build services/rag` would read."""
    folder = ROOT / "services/rag"
    parts = (folder / "Dockerfile", folder / "requirements.lock", *(folder / "rag").rglob("*"))
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in parts if path.is_file() and path.suffix != ".pyc"
    }


PYTHON = Recipe(name="python", version="3.11", debian="python3", brings=_access)
WHEELS = Recipe(name="wheels", on=PYTHON, brings=_requirements)
RECIPES = {
    "haproxy": Recipe(name="haproxy", version="2.6", debian="haproxy"),
    "prometheus": Recipe(name="prometheus", version="2.42", debian="prometheus"),
    "alertmanager": Recipe(name="alertmanager", version="0.25", debian="prometheus-alertmanager"),
    "postgresexporter": Recipe(name="postgresexporter", version="0.11", debian="prometheus-postgres-exporter"),
    "nodeexporter": Recipe(name="nodeexporter", version="1.5", debian="prometheus-node-exporter"),
    "blackboxexporter": Recipe(name="blackboxexporter", version="0.23", debian="prometheus-blackbox-exporter"),
    "valkeyexporter": Recipe(name="valkeyexporter", version="1.45", debian="prometheus-redis-exporter"),
    "postgres": Recipe(name="postgres", version="15", debian="postgresql-15"),
    "python": PYTHON,
    "valkey": Recipe(name="valkey", on=PYTHON, version="9.1.2", origin="9.1.2 from PyPI"),
    "rag": Recipe(name="rag", on=PYTHON, origin="built from services/rag", brings=_rag),
    **{name: _stand_in(name) for name in ("qdrant", "kong", "grafana")},
}


def ensure(client: docker.DockerClient, recipe: Recipe) -> str:
    """Build an image, after what it is built on, unless the engine has it; return its name."""
    if client.images.list(recipe.tag):
        return recipe.tag
    if not recipe.upon:
        docker_base.ensure(client) if recipe.on is None else ensure(client, recipe.on)
    kind = "real" if recipe.debian or recipe.origin else "stand-in"
    try:
        with working(f"building {recipe.tag}"):
            client.images.build(fileobj=_tar(recipe.files), custom_context=True, tag=recipe.tag, network_mode="host",
                                labels={"rag.sandbox.kind": kind, "rag.sandbox.stands-in-for": recipe.name},
                                buildargs={"BASE": recipe.base}, rm=True, forcerm=True)  # fmt: skip
    except docker.errors.DockerException as error:
        log = "".join(line.get("stream", "") for line in getattr(error, "build_log", ())).strip()[-200:]
        raise SetupError(
            f"{recipe.tag} was expected to build; found: {error} {log}. See images/{recipe.name}."
        ) from error
    return recipe.tag


def _tar(files: Files) -> io.BytesIO:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    archive.seek(0)
    return archive
