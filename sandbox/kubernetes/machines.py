"""Machines that are no machines: a PID and a mount namespace each, in a network namespace and a cgroup of their own.

One kill of its first process ends all that runs on a machine, as pulling its plug would.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox import cgroups
from sandbox.kubernetes.places import HOME, LOGS, NAMES
from sandbox.polling import poll
from sandbox.progress import SetupError

SCRIPT = Path(__file__).parent / "machine.sh"
SYSTEM = "system"  # the leaf, beside its pods, in which a machine's own programs live
OWN = ("/run", "/var/log", "/var/lib/kubelet", "/var/lib/cni")  # what a node must not share with the host


def start(name: str, namespace: str, programs: str, own: Iterable[str] = ()) -> None:
    """Start a machine whose programs are the lines of that shell script; it outlives the caller."""
    logs = LOGS / name
    logs.mkdir(parents=True, exist_ok=True)
    (HOME / f"{name}.sh").write_text(programs)
    for folder in own:
        Path(folder).mkdir(parents=True, exist_ok=True)
    groups = " ".join(map(str, cgroups.make(NAMES, name, SYSTEM)))
    command = ["nsenter", f"--net=/run/netns/{namespace}", "unshare", "--mount", "--pid", "--uts", "--fork",
               "--kill-child", "--mount-proc", "--propagation", "private", "/bin/sh", str(SCRIPT),
               str(HOME / f"{name}.sh"), str(logs), groups, *own]  # fmt: skip
    with (logs / "machine.log").open("w") as log:
        begun = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    (HOME / f"{name}.pid").write_text(str(begun.pid))


def runs(name: str) -> int:
    """The process that holds the machine, or 0: only one that this sandbox started, by what it was started with."""
    try:
        pid = int((HOME / f"{name}.pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (OSError, ValueError):
        return 0
    return pid if str(HOME / f"{name}.sh") in arguments else 0


def stop(name: str) -> None:
    """Pull the plug, and remove its cgroups once no process is left in them."""
    if pid := runs(name):
        os.kill(pid, signal.SIGKILL)
        until(f"{name} to be gone", lambda: not runs(name))
    until(f"the cgroups of {name} to be empty", lambda: cgroups.clear(NAMES, name))


def init(name: str) -> int:
    """The machine's first process, as the host counts: its namespaces are the machine's."""
    holder = runs(name)
    children = Path(f"/proc/{holder}/task/{holder}/children").read_text().split() if holder else []
    if not children:
        raise SetupError(f"{name} was expected to run; found that it does not. Run make k8s-up.")
    return int(children[0])


def until(what: str, condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition, or give up naming it."""
    message = f"{what} was expected within {seconds:.0f} s; found that it is not so. See {LOGS}."
    poll(condition, seconds, lambda: SetupError(message))


def cgroup(name: str) -> str:
    """What kubelet calls the cgroup under which its pods live."""
    return f"/{NAMES}/{name}"


def forget() -> None:
    """Remove what the machines had in common."""
    cgroups.clear(NAMES)
