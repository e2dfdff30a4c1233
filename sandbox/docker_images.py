"""The images a stack file names: here already, else pulled, else built under a name of our own."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import docker
import yaml

from sandbox.docker_engine import registry_answers
from sandbox.docker_recipes import RECIPES, Recipe, ensure
from sandbox.parts import Found, Part, first
from sandbox.progress import SetupError, report, working


def wanted_images(stack_file: Path) -> dict[str, str]:
    """Every `image…` key of a stack file, with the image it names."""
    try:
        found = yaml.safe_load(stack_file.read_text())
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SetupError(f"expected YAML in {stack_file.name}{line}, found a mistake: {error.problem}") from error
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        return {}  # the settings report what is wrong with it
    keys = {key.rpartition(":")[2]: value for key, value in config.items()}
    return {key: value for key, value in keys.items() if key.startswith("image")}


def of_all(folder: Path) -> dict[str, str]:
    """The images of every stack file there; where two name different ones of a part, dev's, which a laptop runs."""
    files = sorted(folder.glob("Pulumi.*.yaml"), key=lambda path: path.name == "Pulumi.dev.yaml")
    return {key: image for file in files for key, image in wanted_images(file).items() if image}


def provide_all(engine: str, wanted: Mapping[str, str]) -> dict[str, Part]:
    """Make every image available to the engine; the RAG service's last, which is built upon Python's."""
    ordered = sorted(wanted.items(), key=lambda item: item[0] == "imageRag")
    return {key: provide(engine, key, image, python=wanted.get("imagePython", "")) for key, image in ordered}


def provide(engine: str, key: str, wanted: str, python: str = "") -> Part:
    """Make an image available to the engine; `used` is the name to run it under."""
    client = docker.DockerClient(base_url=engine, timeout=600)
    name = key.removeprefix("image").lower()

    def present() -> Found | None:
        return Found(wanted, "already in the engine") if client.images.list(wanted) else None

    def pulled() -> Found | None:
        if not registry_answers(engine):
            return None
        try:
            with working(f"pulling {wanted}"):
                client.images.pull(wanted)
        except docker.errors.DockerException as error:
            report(f"{wanted} could not be pulled: {error}")
        return present()

    def built() -> Found | None:
        return _built(client, recipe_of(client, name, python)) if name in RECIPES else None

    return first(name, wanted, present, pulled, built)


def recipe_of(client: docker.DockerClient, name: str, python: str) -> Recipe:
    """How the image is made here; upon the real Python where that was found, the service needs no Debian of ours."""
    recipe = RECIPES[name]
    return replace(recipe, upon=python) if name == "rag" and python and client.images.list(python) else recipe


def _built(client: docker.DockerClient, recipe: Recipe) -> Found:
    tag = ensure(client, recipe)
    if not recipe.debian:
        return Found(tag, recipe.origin, kind="real" if recipe.origin else "stand-in")
    package = client.images.get(tag).labels[f"debian.{recipe.debian}"]
    upstream = re.split(r"[-+]", package.rpartition(":")[2])[0]
    return Found(tag, f"{upstream} from Debian")
