"""Programs that Debian can add to this machine."""

import os
import shutil
from pathlib import Path

from sandbox.progress import SetupError, run, working

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # daemons live outside a plain user's PATH
WAIT_FOR_OTHERS = ("-o", "DPkg::Lock::Timeout=600")  # a machine that has just started may install, too


def ensure(**packages: str) -> None:
    """Install the packages whose program (the key) is missing."""
    missing = _missing(packages)
    if not missing:
        return
    if not _can_install():
        raise SetupError(f"Debian's {', '.join(missing)} must be here; found no root on Debian to add it. Install it.")
    install = ["install", "-y", "--no-install-recommends", *missing]
    with working(f"apt-get install {' '.join(missing)}"):
        run("sh", "-c", "apt-get update || true")  # one dead third-party source must not stop the rest
        run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *WAIT_FOR_OTHERS, *install)


def offer(**packages: str) -> None:
    """The same for what only checks: left out where it cannot be installed, or where installing would start it."""
    if _can_install() and not Path("/run/systemd/system").exists():
        ensure(**packages)


def _missing(packages: dict[str, str]) -> list[str]:
    return [package for program, package in packages.items() if not shutil.which(program, path=PATH)]


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None
