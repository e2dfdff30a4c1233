"""The commands that prove: each runs on a stack of its own, and reports, and exits with 1 for a broken promise."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cli import confirm
from cli.confirm import Yes
from cli.entry import run
from ops.stack import OperatorError
from proof.experiments.changes import CHANGES, remove_rebuilt
from proof.experiments.experiment import Experiment, T, named
from proof.experiments.pod_changes import POD_CHANGES
from proof.experiments.pod_scenarios import POD_SCENARIOS
from proof.experiments.runner import Runner
from proof.experiments.scenarios import SCENARIOS
from proof.measure import breaker, capacity, hops
from proof.measure import k6 as k6_of
from proof.measure import load as load_test
from proof.report import account
from proof.report.report import Section
from proof.targets.docker_target import DockerTarget, proof_docker
from proof.targets.kubernetes_target import proof_kubernetes
from proof.targets.readiness import make_ready
from proof.targets.target import Target
from proof.traffic.endpoints import Pace
from slo.promises import Promises

console = Console(highlight=False)
PaceShare = Annotated[float, typer.Option(help="a share of the usual rates, for a machine that is busy", min=0.01)]
Keep = Annotated[bool, typer.Option(help="leave the stack up afterwards, for the next run to find")]
Only = Annotated[str, typer.Option(help="names, separated by commas; all of them when empty")]
Times = Annotated[int, typer.Option(help="how often each change is made", min=1)]
Platform = Literal["dev", "prod"]
Like = Annotated[Platform, typer.Option("--stack", help="the stack file that the tested stack copies")]
Rounds = Annotated[int, typer.Option(help="how often each way is called", min=20)]
Factor = Annotated[float, typer.Option(help="shorten a profile to this part of its time", min=0.01, max=1)]
ROLLING_RUNS = 10


def end(kept: bool) -> None:
    """Exit code 1 when a promise was broken."""
    if not kept:
        raise typer.Exit(1)


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, result_callback=end)


@app.command(epilog="Example: make load PROFILE=slo")
def load(profile: load_test.Profile = "slo", factor: Factor = 1, *, keep: Keep = False) -> bool:
    """Send the load of a profile (seed, slo, ratelimit, soak), and judge the answers by the promises."""
    k6, folder = k6_of.find(), account.folder_of(f"load-{profile}")
    title, command = f"Load: {profile}, by {k6.name}", f"make load PROFILE={profile}"
    return _prove(
        title, command, folder, lambda docker: load_test.run(docker.stack, profile, k6, folder, factor=factor), keep
    )


@app.command(epilog="Example: make chaos ONLY=kill-leader,freeze-node")
def chaos(stack: Like = "dev", only: Only = "", pace: PaceShare = 1, *, keep: Keep = False, yes: Yes = False) -> bool:
    """Break a stack like dev, or like prod, with every known fault, while clients read and write."""
    command = "make chaos" + _given(STACK=stack, ONLY=only, PACE=pace)
    if stack == "dev":
        title = "Chaos: what clients notice of a fault"
        return _run(proof_docker(), SCENARIOS, "chaos", title, command, only=only, pace=pace, keep=keep)
    target, title = proof_kubernetes(), "Chaos on Kubernetes: what clients notice of a fault"
    _confirm(target, "Drain machines, and bring up a stack to break, in", yes)
    return _run(target, POD_SCENARIOS, "chaos-prod", title, command, only=only, pace=pace, keep=keep)


@app.command(epilog="Example: make roll ONLY=qdrant-setting TIMES=3")
def roll(
    stack: Like = "dev", only: Only = "", times: Times = 1, pace: PaceShare = 1, *, keep: Keep = False, yes: Yes = False
) -> bool:
    """Change images and settings of what clients call, through `pulumi up`, while they read and write."""
    command = "make roll" + _given(STACK=stack, ONLY=only, TIMES=times, PACE=pace)
    if stack == "prod":
        target, title = proof_kubernetes(), "Rolling changes on Kubernetes: what clients notice of them"
        _confirm(target, "Bring up a stack to change in", yes)
        return _run(target, POD_CHANGES, "roll-prod", title, command, only=only, times=times, pace=pace, keep=keep)
    docker, title = proof_docker(), "Rolling changes: what clients notice of them"
    try:
        return _run(docker, CHANGES, "roll", title, command, only=only, times=times, pace=pace, keep=keep)
    finally:
        if not keep:
            remove_rebuilt(docker)


@app.command("breaker", epilog="Example: make breaker")
def try_breaker(*, keep: Keep = False) -> bool:
    """Stop the embedder: the breaker opens, answers at once, and closes when the embedder is back."""
    title, folder = "Circuit breaker: the embedder stops", account.folder_of("breaker")
    return _prove(title, "make breaker", folder, lambda docker: breaker.run(docker, Promises.read().breaker), keep)


@app.command("hops", epilog="Example: make hops")
def measure_hops(rounds: Rounds = hops.ROUNDS, *, keep: Keep = False) -> bool:
    """Measure what HAProxy, the RAG service and Kong add to a bare Qdrant query."""
    title, folder = "Hops: what is added to a bare query", account.folder_of("hops")
    return _prove(title, "make hops", folder, lambda docker: hops.run(docker.stack, rounds), keep)


@app.command("capacity", epilog="Example: make capacity POINTS=20000")
def measure_capacity(
    points: Annotated[int, typer.Option(help="how many points are written", min=1000)] = 20_000,
    seconds: Annotated[float, typer.Option(help="how long each size is asked", min=1)] = 20,
) -> bool:
    """Measure queries a second and memory of a bare cluster of 1, 3 and 5 nodes."""
    docker = proof_docker()
    section = capacity.run(docker.engine, docker.stack.settings.image.qdrant, points=points, seconds=seconds)
    title, command = "Capacity: a bare cluster as it grows", "make capacity" + _given(POINTS=points)
    report = account.report_of(title, command, docker.stack.files.parts, [section])
    return account.publish(report, account.folder_of("capacity"), console)


@app.command(epilog="Example: make prove PACE=0.5")
def prove(pace: PaceShare = 1) -> bool:
    """Run everything, one after another, also after a broken promise, and list the outcomes at the end."""
    outcomes = {f"load {profile}": load(profile, keep=True) for profile in ("seed", "slo", "ratelimit")}
    outcomes["hops"] = measure_hops(keep=True)
    outcomes["breaker"] = try_breaker(keep=True)
    outcomes["chaos"] = chaos(pace=pace, keep=True)
    outcomes["roll"] = roll(times=ROLLING_RUNS, pace=pace)
    outcomes["capacity"] = measure_capacity()
    for name, was_kept in outcomes.items():
        console.print(f"{name}: {'[green]kept[/green]' if was_kept else '[red]NOT kept[/red]'}")
    return all(outcomes.values())


def _confirm(target: Target, what: str, agreed: bool) -> None:
    confirm.ask(target.stack.settings, target.stack.files.parts, what, agreed=agreed)


def _run(
    target: T, experiments: Sequence[Experiment[T]], kind: str, title: str, command: str, *,
    only: str, pace: float, keep: bool, times: int = 1,
) -> bool:  # fmt: skip
    """Run the chosen experiments on the target, and publish the report."""
    try:
        chosen = named(experiments, *filter(None, (name.strip() for name in only.split(","))))
    except ValueError as error:
        raise OperatorError(str(error)) from error
    folder = account.folder_of(kind)
    runner = Runner(target, Pace.of(pace), Promises.read(), folder, console.print)
    return _publish(target, title, command, folder, lambda: runner.run(chosen, times), keep=keep)


def _prove(title: str, command: str, folder: Path, measure: Callable[[DockerTarget], Section], keep: bool) -> bool:
    """Publish the report of one measurement on Docker."""
    docker = proof_docker()
    return _publish(docker, title, command, folder, lambda: [measure(docker)], keep=keep)


def _publish(
    target: Target, title: str, command: str, folder: Path, run: Callable[[], Sequence[Section]], *, keep: bool
) -> bool:
    """Bring the target up, run, publish the report; purge the target unless it is kept. Whether all was kept."""
    try:
        make_ready(target)
        sections = run()
    finally:
        if not keep:
            target.purge()
    return account.publish(account.report_of(title, command, target.stack.files.parts, sections), folder, console)


def _given(**options: str | float) -> str:
    """The options that differ from their defaults, as they were given to make."""
    return "".join(f" {key}={value}" for key, value in options.items() if value not in ("", 1, "dev"))


if __name__ == "__main__":
    run(app)
