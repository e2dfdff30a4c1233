"""The commands that prove: each runs on a stack of its own, and ends with a report and an exit code that says it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.stack import OperatorError
from proof import account, scenarios
from proof import k6 as k6_of
from proof import load as load_test
from proof.chaos import Chaos
from proof.own_stack import OwnStack
from proof.promises import Promises
from proof.report import Section
from proof.setting import Pace, make_ready, proof_stack

console = Console(highlight=False)
PaceShare = Annotated[float, typer.Option(help="a share of the usual rates, for a machine that is busy", min=0.01)]
Keep = Annotated[bool, typer.Option(help="leave the stack up afterwards, for the next run to find")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the operator's."""
    app.command()(load)
    app.command()(chaos)


def load(
    profile: Annotated[load_test.Profile, typer.Option(help="seed, slo, ratelimit or soak")] = "slo",
    factor: Annotated[float, typer.Option(help="shorten a profile to this part of its time", min=0.01, max=1)] = 1,
    *,
    keep: Keep = False,
) -> None:
    """Ask as much as the profile says, and hold the answers against what is promised."""
    k6, folder = k6_of.find(), account.folder_of(f"load-{profile}")
    console.print(k6.name)

    def run(stack: OwnStack) -> Sequence[Section]:
        return [load_test.run(stack, profile, k6, folder, factor=factor)]

    _prove(f"Load: {profile}, by {k6.name}", f"make load PROFILE={profile}", folder, run, keep)


def chaos(
    only: Annotated[str, typer.Option(help="names of scenarios, separated by commas; all of them when empty")] = "",
    pace: PaceShare = 1,
    *,
    keep: Keep = False,
) -> None:
    """Break the stack in every way that is known, one after another, while clients read and write."""
    try:
        chosen = scenarios.named(*filter(None, (name.strip() for name in only.split(","))))
    except ValueError as error:
        raise OperatorError(str(error)) from error

    def run(stack: OwnStack) -> Sequence[Section]:
        return Chaos(stack, Pace.of(pace), Promises.read(), folder, console.print).run(chosen)

    folder = account.folder_of("chaos")
    _prove("Chaos: what clients notice of a fault", f"make chaos{f' ONLY={only}' if only else ''}", folder, run, keep)


def _prove(title: str, command: str, folder: Path, run: Callable[[OwnStack], Sequence[Section]], keep: bool) -> None:
    """Bring the proof's stack up, run, report; the stack goes unless it is kept."""
    stack = proof_stack()
    try:
        make_ready(stack)
        sections = run(stack)
    finally:
        if not keep:
            stack.down(purge=True)
    if not account.publish(account.report_of(title, command, stack.files.parts, sections), folder, console):
        sys.exit(1)
