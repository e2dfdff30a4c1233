"""The commands that prove: each runs on a stack of its own, and ends with a report and an exit code that says it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer
from rich.console import Console

from cli import confirm
from cli.confirm import Yes
from cli.entry import run
from ops.stack import OperatorError
from proof.experiments import changes, scenarios
from proof.experiments.chaos import Chaos
from proof.experiments.pod_changes import POD_CHANGES
from proof.experiments.pod_scenarios import POD_SCENARIOS
from proof.experiments.rolling import Rolling
from proof.measure import breaker, capacity, hops
from proof.measure import k6 as k6_of
from proof.measure import load as load_test
from proof.report import account
from proof.report.report import Section
from proof.targets.docker_stack import OwnStack
from proof.targets.docker_target import make_ready, proof_stack
from proof.targets.kubernetes_target import proof_namespace, traffic_pod
from proof.traffic.endpoints import Pace
from slo.promises import Promises

T = TypeVar("T")
console = Console(highlight=False)
PaceShare = Annotated[float, typer.Option(help="a share of the usual rates, for a machine that is busy", min=0.01)]
Keep = Annotated[bool, typer.Option(help="leave the stack up afterwards, for the next run to find")]
Only = Annotated[str, typer.Option(help="names, separated by commas; all of them when empty")]
Times = Annotated[int, typer.Option(help="how often each change is made", min=1)]
Like = Annotated[Literal["dev", "prod"], typer.Option("--stack", help="like which stack the one is that is tried")]
Rounds = Annotated[int, typer.Option(help="how often each way is asked", min=20)]
Factor = Annotated[float, typer.Option(help="shorten a profile to this part of its time", min=0.01, max=1)]
ROLLING_RUNS = 10
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def load(profile: load_test.Profile = "slo", factor: Factor = 1, *, keep: Keep = False) -> None:
    """Ask as much as the profile (seed, slo, ratelimit, soak) says, and hold the answers against what is promised."""
    _end(_load(profile, factor, keep))


@app.command()
def chaos(stack: Like = "dev", only: Only = "", pace: PaceShare = 1, *, keep: Keep = False, yes: Yes = False) -> None:
    """Break a stack like dev, or like prod, in every way that is known, while clients read and write."""
    _end(_pod_chaos(only, pace, keep=keep, agreed=yes) if stack == "prod" else _chaos(only, pace, keep))


@app.command()
def roll(
    stack: Like = "dev", only: Only = "", times: Times = 1, pace: PaceShare = 1, *, keep: Keep = False, yes: Yes = False
) -> None:
    """Change images and settings of what clients call, through `pulumi up`, while they read and write."""
    if stack == "prod":
        _end(_pod_roll(only, times, pace, keep=keep, agreed=yes))
    else:
        _end(_roll(only, times, pace, keep))


@app.command("breaker")
def try_breaker(*, keep: Keep = False) -> None:
    """Stop the embedder: the breaker opens, answers at once, and closes when the embedder is back."""
    _end(_breaker(keep))


@app.command("hops")
def measure_hops(rounds: Rounds = hops.ROUNDS, *, keep: Keep = False) -> None:
    """Measure what HAProxy, the RAG service and Kong add to a bare Qdrant query."""
    _end(_hops(rounds, keep))


@app.command("capacity")
def measure_capacity(
    points: Annotated[int, typer.Option(help="how many points are written", min=1000)] = 20_000,
    seconds: Annotated[float, typer.Option(help="how long each size is asked", min=1)] = 20,
) -> None:
    """Measure queries a second and memory of a bare cluster of 1, 3 and 5 nodes."""
    _end(_capacity(points, seconds))


@app.command()
def prove(pace: PaceShare = 1) -> None:
    """Everything, one after another; goes on after what was not kept, and says at the end which it was."""
    outcomes = {f"load {profile}": _load(profile, 1, keep=True) for profile in ("seed", "slo", "ratelimit")}
    outcomes["hops"] = _hops(hops.ROUNDS, keep=True)
    outcomes["breaker"] = _breaker(keep=True)
    outcomes["chaos"] = _chaos("", pace, keep=True)
    outcomes["roll"] = _roll("", ROLLING_RUNS, pace, keep=False)
    outcomes["capacity"] = _capacity(20_000, 20)
    for name, was_kept in outcomes.items():
        console.print(f"{name}: {'[green]kept[/green]' if was_kept else '[red]NOT kept[/red]'}")
    _end(all(outcomes.values()))


def _load(profile: load_test.Profile, factor: float, keep: bool) -> bool:
    k6, folder = k6_of.find(), account.folder_of(f"load-{profile}")

    def run(stack: OwnStack) -> Sequence[Section]:
        return [load_test.run(stack, profile, k6, folder, factor=factor)]

    return _prove(f"Load: {profile}, by {k6.name}", f"make load PROFILE={profile}", folder, run, keep=keep)


def _chaos(only: str, pace: float, keep: bool) -> bool:
    chosen, folder = _chosen(scenarios.named, only), account.folder_of("chaos")

    def run(stack: OwnStack) -> Sequence[Section]:
        return Chaos(stack, Pace.of(pace), Promises.read(), folder, console.print).run(chosen)

    command = "make chaos" + _given(ONLY=only, PACE=pace)
    return _prove("Chaos: what clients notice of a fault", command, folder, run, keep=keep)


def _pod_chaos(only: str, pace: float, *, keep: bool, agreed: bool) -> bool:
    chosen = _chosen(partial(scenarios.named, among=POD_SCENARIOS), only)
    stack, folder = proof_namespace(), account.folder_of("chaos-prod")
    confirm.ask(
        stack.files.settings(), stack.files.parts, "Drain machines, and bring up a stack to break, in", agreed=agreed
    )

    def run(stack: OwnStack) -> Sequence[Section]:
        return Chaos(stack, Pace.of(pace), Promises.read(), folder, console.print, traffic_pod).run(chosen)

    command = "make chaos STACK=prod" + _given(ONLY=only, PACE=pace)
    return _prove("Chaos on Kubernetes: what clients notice of a fault", command, folder, run, keep=keep, stack=stack)


def _roll(only: str, times: int, pace: float, keep: bool) -> bool:
    chosen, folder = _chosen(changes.named, only), account.folder_of("roll")

    def run(stack: OwnStack) -> Sequence[Section]:
        return Rolling(stack, Pace.of(pace), Promises.read(), folder, console.print).run(chosen, times)

    command = "make roll" + _given(ONLY=only, TIMES=times, PACE=pace)
    try:
        return _prove("Rolling changes: what clients notice of them", command, folder, run, keep=keep)
    finally:
        if not keep:
            changes.forget_rebuilt(proof_stack())


def _pod_roll(only: str, times: int, pace: float, *, keep: bool, agreed: bool) -> bool:
    chosen = _chosen(partial(changes.named, among=POD_CHANGES), only)
    stack, folder = proof_namespace(), account.folder_of("roll-prod")
    confirm.ask(stack.files.settings(), stack.files.parts, "Bring up a stack to change in", agreed=agreed)

    def run(stack: OwnStack) -> Sequence[Section]:
        return Rolling(stack, Pace.of(pace), Promises.read(), folder, console.print, traffic_pod).run(chosen, times)

    command = "make roll STACK=prod" + _given(ONLY=only, TIMES=times, PACE=pace)
    title = "Rolling changes on Kubernetes: what clients notice of them"
    return _prove(title, command, folder, run, keep=keep, stack=stack)


def _breaker(keep: bool) -> bool:
    def run(stack: OwnStack) -> Sequence[Section]:
        return [breaker.run(stack, Promises.read().breaker)]

    return _prove("Circuit breaker: the embedder stops", "make breaker", account.folder_of("breaker"), run, keep=keep)


def _hops(rounds: int, keep: bool) -> bool:
    def run(stack: OwnStack) -> Sequence[Section]:
        return [hops.run(stack, rounds)]

    return _prove("Hops: what is added to a bare query", "make hops", account.folder_of("hops"), run, keep=keep)


def _capacity(points: int, seconds: float) -> bool:
    stack = proof_stack()
    section = capacity.run(stack.engine, stack.files.settings().image.qdrant, points=points, seconds=seconds)
    title, command = "Capacity: a bare cluster as it grows", "make capacity" + _given(POINTS=points)
    return account.publish(
        account.report_of(title, command, stack.files.parts, [section]), account.folder_of("capacity"), console
    )


def _prove(
    title: str,
    command: str,
    folder: Path,
    run: Callable[[OwnStack], Sequence[Section]],
    *,
    keep: bool,
    stack: OwnStack | None = None,
) -> bool:
    """Bring the proof's stack up, run, report; the stack goes unless it is kept. Returns whether all was kept."""
    stack = stack or proof_stack()
    try:
        make_ready(stack)
        sections = run(stack)
    finally:
        if not keep:
            stack.clear_away()
    return account.publish(account.report_of(title, command, stack.files.parts, sections), folder, console)


def _chosen(named: Callable[..., tuple[T, ...]], only: str) -> tuple[T, ...]:
    try:
        return named(*filter(None, (name.strip() for name in only.split(","))))
    except ValueError as error:
        raise OperatorError(str(error)) from error


def _given(**options: str | float) -> str:
    """What was asked for otherwise than usual, as it was given to make."""
    return "".join(f" {key}={value}" for key, value in options.items() if value not in ("", 1))


def _end(was_kept: bool) -> None:
    if not was_kept:
        raise typer.Exit(1)


if __name__ == "__main__":
    run(app)
