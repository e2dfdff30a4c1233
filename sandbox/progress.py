"""What the operator sees while the sandbox works, and the one way in which it gives up."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

INTERVAL_SECONDS = 15.0
_STARTED = time.monotonic()
_under_way: dict[object, tuple[str, float]] = {}  # what is being done, since when


class SetupError(Exception):
    """One sentence for the operator: what was expected, what was found, what to do."""


def report(text: str) -> None:
    """Print one line, with the seconds since the sandbox began."""
    print(f"[{time.monotonic() - _STARTED:6.1f}s] {text}", flush=True)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Report the text now; `heartbeat` names it until it is done."""
    report(text)
    key = object()
    _under_way[key] = (text, time.monotonic())
    try:
        yield
    finally:
        del _under_way[key]


@contextlib.contextmanager
def heartbeat(interval_seconds: float = INTERVAL_SECONDS) -> Iterator[None]:
    """Until left, report at each interval everything that is under way, and for how long."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(interval_seconds):
            if texts := [f"{what} ({time.monotonic() - since:.0f} s)" for what, since in list(_under_way.values())]:
                report(f"still {'; '.join(texts)}")

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command, or give up with the last line it left."""
    done = subprocess.run(command, check=False, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise SetupError(f"`{' '.join(command)[:80]} …` was expected to succeed; found: {last}. Remedy it, run again.")
