"""Progress bars: bytes with their rate, points with theirs, steps."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ops.progress import Bars, of_size

WHAT = TextColumn("{task.description}")


class PointRate(ProgressColumn):
    """Points a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} points/s" if speed else "", style="progress.data.speed")


def of_bytes(console: Console) -> Bars:
    """How much of a file, or of all files, has gone over the wire."""
    columns = (WHAT, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Bars(*columns, console=console, amount=of_size)


def of_points(console: Console) -> Bars:
    """How many points have been read or written."""
    columns = (WHAT, BarColumn(), MofNCompleteColumn(), PointRate(), TimeElapsedColumn(), TimeRemainingColumn())
    return Bars(*columns, console=console)


def of_steps(console: Console) -> Bars:
    """How many steps of a plan are done."""
    return Bars(WHAT, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)
