"""The commands that prove: each runs on a stack of its own, and ends with a report and an exit code that says it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from ops.stack import OperatorError
from proof import account, breaker, changes, hops, scenarios
from proof import k6 as k6_of
from proof import load as load_test
from proof.chaos import Chaos
from proof.own_stack import OwnStack
from proof.promises import Promises
from proof.report import Section
from proof.rolling import Rolling
from proof.setting import Pace, make_ready, proof_stack

T = TypeVar("T")
console = Console(highlight=False)
PaceShare = Annotated[float, typer.Option(help="a share of the usual rates, for a machine that is busy", min=0.01)]
Keep = Annotated[bool, typer.Option(help="leave the stack up afterwards, for the next run to find")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the operator's."""
    app.command()(load)
    app.command()(chaos)
    app.command()(roll)
    app.command("breaker")(try_breaker)
    app.command("hops")(measure_hops)


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
    chosen, folder = _chosen(scenarios.named, only), account.folder_of("chaos")

    def run(stack: OwnStack) -> Sequence[Section]:
        return Chaos(stack, Pace.of(pace), Promises.read(), folder, console.print).run(chosen)

    _prove("Chaos: what clients notice of a fault", f"make chaos{f' ONLY={only}' if only else ''}", folder, run, keep)


def roll(
    only: Annotated[str, typer.Option(help="names of changes, separated by commas; all of them when empty")] = "",
    times: Annotated[int, typer.Option(help="how often each is made", min=1)] = 1,
    pace: PaceShare = 1,
    *,
    keep: Keep = False,
) -> None:
    """Change an image and a setting of everything, through `pulumi up`, while clients read and write."""
    chosen, folder = _chosen(changes.named, only), account.folder_of("roll")

    def run(stack: OwnStack) -> Sequence[Section]:
        return Rolling(stack, Pace.of(pace), Promises.read(), folder, console.print).run(chosen, times)

    command = f"make roll{f' ONLY={only}' if only else ''}{f' TIMES={times}' if times > 1 else ''}"
    _prove("Rolling changes: what clients notice of them", command, folder, run, keep)


def try_breaker(*, keep: Keep = False) -> None:
    """Stop the embedder: the breaker opens, answers at once, and closes when the embedder is back."""
    _prove(
        "Circuit breaker: the embedder stops",
        "make breaker",
        account.folder_of("breaker"),
        lambda stack: [breaker.run(stack, Promises.read().breaker)],
        keep,
    )


def measure_hops(rounds: Annotated[int, typer.Option(min=20)] = hops.ROUNDS, *, keep: Keep = False) -> None:
    """Measure what HAProxy, the RAG service and Kong add to a bare Qdrant query."""
    folder = account.folder_of("hops")
    _prove("Hops: what is added to a bare query", "make hops", folder, lambda stack: [hops.run(stack, rounds)], keep)


def _chosen(named: Callable[..., tuple[T, ...]], only: str) -> tuple[T, ...]:
    try:
        return named(*filter(None, (name.strip() for name in only.split(","))))
    except ValueError as error:
        raise OperatorError(str(error)) from error


def _prove(title: str, command: str, folder: Path, run: Callable[[OwnStack], Sequence[Section]], keep: bool) -> None:
    """Bring the proof's stack up, run, report; the stack goes unless it is kept."""
    stack = proof_stack()
    try:
        make_ready(stack)
        sections = run(stack)
    finally:
        if not keep:
            stack.down(purge=True)
            changes.forget_rebuilt(stack)
    if not account.publish(account.report_of(title, command, stack.files.parts, sections), folder, console):
        sys.exit(1)
