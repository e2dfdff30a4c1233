"""What the operator sees while the sandbox works, and the one way in which it gives up."""

import subprocess
import time
from pathlib import Path

_STARTED = time.monotonic()


class SetupError(Exception):
    """One sentence for the operator: what was expected, what was found, what to do."""


def report(text: str) -> None:
    """Print one line, with the seconds since the sandbox began."""
    print(f"[{time.monotonic() - _STARTED:6.1f}s] {text}", flush=True)


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command, or give up with the last line it left."""
    done = subprocess.run(command, check=False, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise SetupError(f"`{' '.join(command)[:80]} …` was expected to succeed; found: {last}. Remedy it, run again.")
