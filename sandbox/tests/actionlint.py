"""actionlint, which checks workflows: the one on PATH, else built once from its pinned Go module."""

import shutil
from pathlib import Path

from sandbox.go_build import CACHE, build, pinned

CHECKERS = Path(__file__).parent / "checkers"
MODULE = "github.com/rhysd/actionlint"


def provide() -> str:
    """The path of the executable."""
    if present := shutil.which("actionlint"):
        return present
    number = pinned(CHECKERS, MODULE)
    target = CACHE / f"actionlint-{number}/actionlint"
    return str(build(target, f"actionlint {number}", CHECKERS, f"{MODULE}/cmd/actionlint"))
