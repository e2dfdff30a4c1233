"""The sandbox's choices: real beats pulled beats stand-in, and the choice is written down truly."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import __main__ as sandbox
from sandbox import docker_images, go_build, parts, pulumi_cli
from sandbox.docker_recipes import RECIPES, Recipe
from sandbox.parts import Found, Part
from sandbox.progress import SetupError

HERE, PULLED, STAND_IN = Found("here"), Found("pulled"), Found("made", kind="stand-in")


def way(found: Found | None, asked: list[str], name: str) -> Callable[[], Found | None]:
    """A way of getting a part that remembers that it was asked."""

    def ask() -> Found | None:
        asked.append(name)
        return found

    return ask


@pytest.mark.parametrize(
    ("here", "pulled", "used", "kind", "asked"),
    [
        (HERE, PULLED, "here", "real", ["here"]),
        (None, PULLED, "pulled", "real", ["here", "pulled"]),
        (None, None, "made", "stand-in", ["here", "pulled", "stand-in"]),
    ],
)
def test_real_beats_pulled_beats_stand_in(
    here: Found | None, pulled: Found | None, used: str, kind: str, asked: list[str]
) -> None:
    log: list[str] = []
    ways = way(here, log, "here"), way(pulled, log, "pulled"), way(STAND_IN, log, "stand-in")
    part = parts.first("qdrant", "qdrant/qdrant:v1", *ways)
    assert (part.used, part.kind, part.wanted) == (used, kind, "qdrant/qdrant:v1")
    assert log == asked


def test_a_part_that_no_way_has_is_refused_by_name() -> None:
    with pytest.raises(SetupError, match=r"valkey: valkey/valkey:8 was expected"):
        parts.first("valkey", "valkey/valkey:8", lambda: None)


def test_only_what_differs_from_the_stack_file_overrides_it(tmp_path: Path) -> None:
    real = Part("haproxy:3.2", part="haproxy", wanted="haproxy:3.2")
    other = Part("sandbox/kong:1", kind="stand-in", part="kong", wanted="kong:3.9")
    parts.write(tmp_path / "parts.json", {}, {"imageHaproxy": real, "imageKong": other}, [])
    written = json.loads((tmp_path / "parts.json").read_text())
    assert written["config"] == {"imageKong": "sandbox/kong:1"}
    assert [part["kind"] for part in written["parts"]] == ["real", "stand-in"]


def test_images_come_from_the_stack_file_and_other_keys_do_not(tmp_path: Path) -> None:
    stack = tmp_path / "Pulumi.dev.yaml"
    stack.write_text("config:\n  rag-platform:imageKong: kong:3.9.3\n  rag-platform:platform: docker\n")
    assert docker_images.wanted_images(stack) == {"imageKong": "kong:3.9.3"}


def test_an_empty_stack_file_names_no_image_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    stack = tmp_path / "Pulumi.dev.yaml"
    for nothing in ("", "config:\n", "no mapping"):
        stack.write_text(nothing)
        assert docker_images.wanted_images(stack) == {}
    stack.write_text("config:\n  rag-platform:imageKong: [kong\n")
    with pytest.raises(SetupError, match=r"expected YAML in Pulumi\.dev\.yaml, line"):
        docker_images.wanted_images(stack)


def test_an_image_is_named_for_its_content_and_for_nothing_else() -> None:
    recipe = Recipe(name="haproxy", version="2.6", brings=lambda: {"extra": b"1"})
    same = replace(recipe, brings=lambda: {"extra": b"1"})
    changed = replace(recipe, brings=lambda: {"extra": b"2"})
    assert recipe.tag == same.tag
    assert recipe.tag != changed.tag
    assert recipe.tag.startswith("sandbox/haproxy:2.6-")


def test_an_image_changes_its_name_with_what_it_is_built_on() -> None:
    below = Recipe(name="python", brings=lambda: {"pip.conf": b"1"})
    above = Recipe(name="wheels", on=below)
    moved = replace(above, on=replace(below, brings=lambda: {"pip.conf": b"2"}))
    assert above.tag != moved.tag


@pytest.mark.parametrize(("answers", "tried"), [(False, []), (True, ["install"])])
def test_nothing_is_downloaded_from_a_site_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, answers: bool, tried: list[str]
) -> None:
    log: list[str] = []

    def install() -> None:
        log.append("install")
        raise OSError("cut off")

    monkeypatch.setattr(pulumi_cli, "site_answers", lambda: answers)
    monkeypatch.setattr("sandbox.pulumi_cli.PulumiCommand.install", install)
    assert pulumi_cli._downloaded() is None
    assert log == tried


def test_a_program_is_built_at_the_version_that_go_mod_pins(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(f"require (\n\t{pulumi_cli.MODULE} v3.1.2\n)\n")
    assert go_build.pinned(tmp_path, pulumi_cli.MODULE) == "v3.1.2"


def test_a_go_mod_without_the_module_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module sandbox/tools\n")
    with pytest.raises(SetupError, match="go get -tool"):
        go_build.pinned(tmp_path, pulumi_cli.MODULE)


REAL, OTHER = Part("kong:3.9", part="kong"), Part("sandbox/qdrant:1", kind="stand-in", part="qdrant")


def test_stand_ins_are_refused_by_name_where_the_real_thing_is_required() -> None:
    sandbox.require_real([REAL])
    with pytest.raises(SetupError, match=r"found stand-ins for qdrant\."):
        sandbox.require_real([REAL, OTHER])


@pytest.mark.parametrize(("words", "ends"), [([], False), (["--require-real"], True), (["--real"], True)])
def test_a_stand_in_ends_the_command_only_when_it_is_told_so(
    monkeypatch: pytest.MonkeyPatch, words: list[str], ends: bool
) -> None:
    monkeypatch.setattr("sys.argv", ["sandbox", *words])
    monkeypatch.setattr(sandbox, "up", lambda: [REAL, OTHER])
    with pytest.raises(SystemExit) if ends else contextlib.nullcontext():
        sandbox.main()


class Engine:
    """A Docker engine that has these images."""

    def __init__(self, *names: str) -> None:
        self.names, self.images = names, self

    def list(self, name: str) -> list[str]:
        return [each for each in self.names if each == name]


def test_the_service_is_built_upon_the_real_python_where_there_is_one() -> None:
    """A machine with Docker and no Debian of ours has no other."""
    here = docker_images.recipe_of(Engine("python:3.11"), "rag", "python:3.11")
    assert here.base == "python:3.11"
    assert here.files == RECIPES["rag"].files
    assert docker_images.recipe_of(Engine(), "rag", "python:3.11") is RECIPES["rag"]
    assert docker_images.recipe_of(Engine("python:3.11"), "kong", "python:3.11") is RECIPES["kong"]
