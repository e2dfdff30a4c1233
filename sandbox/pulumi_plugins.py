"""Pulumi's plugin executables: the real ones, else official downloads, else wrappers in a bin folder of our own."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from sandbox.parts import Found, Part, first
from sandbox.progress import SetupError, report, run
from sandbox.pulumi_cli import site_answers

ROOT = Path(__file__).parent.parent
INSTALLED = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi")) / "plugins"
STAND_INS = ("docker", "kong", "kubernetes", "random")
# Part of the CLI's official download and not of our build; both only start a module of Pulumi's own SDK.
STARTERS = {
    "pulumi-resource-pulumi-python": 'pulumi.dynamic "$@"',
    "pulumi-analyzer-policy-python": 'pulumi.policy "$1" "$2"',
}


def provide(cli: str, folder: Path) -> Iterator[Part]:
    """Make every plugin available; the folder then holds exactly what is not to be had elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)  # must not hide a real one that has come since
    folder.mkdir(parents=True)
    for name in STAND_INS:
        yield _plugin(name, cli, folder / f"pulumi-resource-{name}")
    search = os.pathsep.join([os.environ["PATH"], str(Path(cli).parent)])
    for program, arguments in STARTERS.items():
        beside = shutil.which(program, path=search)
        used = beside or _wrapper(folder / program, f"-u -m {arguments}")
        yield Part(used, part=program.removeprefix("pulumi-"), wanted="the CLI's own")


def _plugin(name: str, cli: str, executable: Path) -> Part:
    number = version(f"pulumi-{name}")
    directory = INSTALLED / f"resource-{name}-v{number}"

    def present() -> Found | None:
        path = shutil.which(executable.name) or (str(directory) if directory.exists() else None)
        return Found(path, "already on this machine") if path else None

    def installed() -> Found | None:
        if not site_answers():
            return None
        report(f"installing the {name} plugin {number}")
        try:
            run(cli, "plugin", "install", "resource", name, number)
        except SetupError as error:
            report(str(error))
        return present()

    def stand_in() -> Found:
        # As a module: run as a file, its neighbours docker.py and random.py would hide the real docker and random.
        return Found(_wrapper(executable, f'-u -m sandbox.plugins.{name} "$@"'), kind="stand-in")

    return first(f"plugin {name}", number, present, installed, stand_in)


def _wrapper(executable: Path, arguments: str) -> str:
    executable.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}:$PYTHONPATH" exec "{sys.executable}" {arguments}\n')
    executable.chmod(0o755)
    return str(executable)
