"""`make` lists every target by group, and every command's `--help` ends with an example that make knows."""

import re
import subprocess
from pathlib import Path

import pytest
import typer
from typer.models import CommandInfo

from cli import __main__ as main
from cli import daytwo, nodes, prove

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE))
APPS: list[typer.Typer] = [main.app, daytwo.app, nodes.app, prove.app]
COMMANDS = [command for app in APPS for command in app.registered_commands]


def name_of(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", "")).replace("_", "-")


def example_problem(command: CommandInfo) -> str:
    """Why the command's example is none; empty when it is one."""
    found = re.match(r"Example: .*\bmake ([a-z0-9-]+)", command.epilog or "")
    if not found:
        return "no example"
    return "" if found[1] == name_of(command) and found[1] in TARGETS else f"an example of {found[1]}"


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_a_command_has_an_example(command: CommandInfo) -> None:
    assert example_problem(command) == ""


def test_a_command_without_an_example_would_be_seen() -> None:
    assert example_problem(CommandInfo(name="up")) == "no example"
    assert example_problem(CommandInfo(name="up", epilog="Example: make uq")) == "an example of uq"


def test_make_alone_lists_every_target_in_a_group() -> None:
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    groups = re.split(r"^(\w[\w ]+)$", printed, flags=re.MULTILINE)
    assert groups[1::2] == ["Use", "Day two", "Prove", "Develop"]
    assert set(re.findall(r"^  ([a-z0-9-]+) ", printed, re.MULTILINE)) == TARGETS
    phony = re.search(r"\.PHONY: ((?:.*\\\n)*.*)", MAKEFILE)
    assert phony
    assert set(phony[1].replace("\\", " ").split()) == TARGETS
