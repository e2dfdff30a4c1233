"""actionlint, which checks workflows: the one on PATH, else built once from its pinned Go module."""

import re
import shutil
from pathlib import Path

from sandbox.progress import run, say
from sandbox.pulumi_cli import CACHE, go

CHECKERS = Path(__file__).parent / "checkers"
MODULE = "github.com/rhysd/actionlint"


def provide() -> str:
    """The path of the executable."""
    if present := shutil.which("actionlint"):
        return present
    [number] = re.findall(rf"{re.escape(MODULE)} (v\S+)", (CHECKERS / "go.mod").read_text())
    binary = CACHE / f"actionlint-{number}/actionlint"
    if not binary.exists():
        say(f"building actionlint {number} from its Go module (once)")
        fresh = binary.with_suffix(".new")  # an interrupted build leaves nothing that looks finished
        run(go(), "build", "-trimpath", "-o", str(fresh), f"{MODULE}/cmd/actionlint", cwd=CHECKERS)
        fresh.rename(binary)
    return str(binary)
