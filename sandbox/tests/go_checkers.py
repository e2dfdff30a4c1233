"""Public checkers that are Go programs: the one on PATH, else built once from its pinned Go module."""

import shutil
from pathlib import Path

from sandbox.go_build import CACHE, build, pinned

CHECKERS = Path(__file__).parent / "checkers"
ACTIONLINT = "github.com/rhysd/actionlint"
KUBE_SCORE = "github.com/zegl/kube-score"


def provide(module: str) -> str:
    """The path of the executable."""
    name = module.rpartition("/")[2]
    if present := shutil.which(name):
        return present
    number = pinned(CHECKERS, module)
    target = CACHE / f"{name}-{number}/{name}"
    return str(build(target, f"{name} {number}", CHECKERS, f"{module}/cmd/{name}"))
