"""Progress bars: bytes with their rate, points with theirs, steps."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

WHAT = TextColumn("{task.description}")


class PointRate(ProgressColumn):
    """Points a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} points/s" if speed else "", style="progress.data.speed")


def of_bytes(console: Console) -> Progress:
    """How much of a file, or of all files, has gone over the wire."""
    return Progress(WHAT, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=console)


def of_points(console: Console) -> Progress:
    """How many points have been read or written."""
    columns = (WHAT, BarColumn(), MofNCompleteColumn(), PointRate(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def of_steps(console: Console) -> Progress:
    """How many steps of a plan are done."""
    return Progress(WHAT, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)
