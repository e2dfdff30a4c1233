"""What a command is doing: a moving line on a terminal, a plain line every 15 seconds in a file or a CI log."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import Progress, ProgressColumn

INTERVAL_SECONDS = 15.0


@contextlib.contextmanager
def every(console: Console, line: Callable[[], str], interval_seconds: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Print `line()` at each interval until left; an empty one is not printed."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(interval_seconds):
            if text := line():
                console.print(escape(text), highlight=False)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def working(console: Console, what: str, interval_seconds: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Show what is being done, and for how long already."""
    if console.is_terminal:
        with console.status(escape(what)):
            yield
        return
    began = time.monotonic()
    console.print(escape(what), highlight=False)
    with every(console, lambda: f"{what}: {time.monotonic() - began:.0f} s so far", interval_seconds):
        yield


class Bars(Progress):
    """Progress bars on a terminal; elsewhere lines with what is done of what, one for each task under way."""

    def __init__(
        self,
        *columns: ProgressColumn,
        console: Console,
        amount: Callable[[float], str] = "{:.0f}".format,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        super().__init__(*columns, console=console, disable=not console.is_terminal)
        self._amount = amount
        self._lines = every(console, self._under_way, interval_seconds)

    def start(self) -> None:
        super().start()
        if self.disable:
            self._lines.__enter__()

    def stop(self) -> None:
        super().stop()
        if self.disable:
            self._lines.__exit__(None, None, None)
            for task in self.tasks:
                self.console.print(escape(self._line(task.id)), highlight=False)

    def _under_way(self) -> str:
        return "\n".join(self._line(task.id) for task in self.tasks if not task.finished)

    def _line(self, number: int) -> str:
        task = next(task for task in self.tasks if task.id == number)
        total = "" if task.total is None else f" of {self._amount(task.total)}"
        return f"{task.description}: {self._amount(task.completed)}{total}, {task.elapsed or 0:.0f} s"


def of_size(size: float) -> str:
    """Bytes, in a unit that a person reads."""
    return decimal(int(size))
