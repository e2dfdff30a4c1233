"""Programs that Debian can add to this machine."""

import os
import shutil

from sandbox.progress import SetupError, run, say

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # daemons live outside a plain user's PATH


def ensure(**packages: str) -> None:
    """Install the packages whose program (the key) is missing."""
    missing = [package for program, package in packages.items() if not shutil.which(program, path=PATH)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"Debian's {', '.join(missing)} must be here; found no root on Debian to add it. Install it.")
    say(f"apt-get install {' '.join(missing)}")
    run("sh", "-c", "apt-get update || true")  # one dead third-party source must not stop the rest
    run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", *missing)
