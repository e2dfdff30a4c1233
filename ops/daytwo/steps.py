"""A procedure as a list of steps: shown before, counted while it runs, each safe to do again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from ops.daytwo import progress_bars


@dataclass(frozen=True)
class Step:
    """What it does, in words, and the function that does it."""

    description: str
    do: Callable[[], object]


def show(steps: Sequence[Step], console: Console) -> None:
    """The plan, a line for each step."""
    for number, step in enumerate(steps, start=1):
        console.print(f"{number:2}. {step.description}")


def take(steps: Sequence[Step], console: Console) -> None:
    """Take the steps in order; the first error ends it, and a later run begins again with what is not done."""
    with progress_bars.of_steps(console) as bar:
        task = bar.add_task("", total=len(steps))
        for step in steps:
            bar.update(task, description=step.description)
            step.do()
            bar.console.print(f"[green]done[/green] {step.description}")
            bar.advance(task)
