"""A Docker engine: the one that answers, else one started here that outlives `make`."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import docker

from sandbox import cgroups, debian
from sandbox.polling import poll
from sandbox.progress import SetupError, report

HOME = Path("/var/lib/rag-platform-sandbox")  # outside the clone: images survive a fresh one
PID_FILE = Path("/run/rag-platform-sandbox.pid")  # on /run: a reboot forgets it
LOG = HOME / "dockerd.log"
SOCKET = "unix:///var/run/docker.sock"
DESKTOP = f"unix://{Path.home()}/.docker/run/docker.sock"
FREE_GIB = 4
# As systemd has it: the engine weighs as much as one of its containers. In no cgroup each of its threads would weigh as
# much as all containers together, and a container start would take the processors from all others.
CGROUP = "rag-platform-sandbox"
ENTER = 'for group in $ENGINE_CGROUPS; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


def ensure_engine() -> str:
    """Return the address of an engine that answers, starting one as root on Debian if there is none."""
    given = os.environ.get("DOCKER_HOST")
    places = [given] if given else [SOCKET, DESKTOP]
    for address in places:
        if answers(address):
            return address
    if given or os.geteuid() != 0:
        raise SetupError(f"A Docker engine was expected at {' or '.join(places)}; nothing answers this user. "
                         "Start Docker, or run as root on Debian without DOCKER_HOST.")  # fmt: skip
    _start()
    return SOCKET


def answers(address: str) -> bool:
    """Whether an engine answers there; a dead socket refuses at once, a busy engine may take seconds."""
    try:
        return bool(docker.DockerClient(base_url=address, timeout=10).ping())
    except docker.errors.DockerException:
        return False


@cache
def registry_answers(address: str) -> bool:
    """Whether the engine, with its own mirrors and proxies, sees a well-known image within three seconds."""
    try:
        return bool(docker.DockerClient(base_url=address, timeout=3).images.get_registry_data("hello-world"))
    except (docker.errors.DockerException, OSError):
        return False


def prove_names(client: docker.DockerClient, image: str) -> None:
    """Containers on a network of their own find each other by name, or the sandbox gives up saying so."""
    name = "rag-sandbox-probe"
    network = client.networks.create(name)
    try:
        client.containers.run(image, ["getent", "hosts", name], name=name, network=name, remove=True)
    except docker.errors.DockerException as error:
        raise SetupError(f"Containers were expected to resolve names; found: {error}. Load the NAT modules.") from error
    finally:
        network.remove()


def stop_engine() -> bool:
    """Stop the engine started here, if it runs, and wait until it is gone."""
    pid = own_pid()
    if pid:
        os.kill(pid, signal.SIGTERM)
        _wait_until(lambda: not own_pid())
    return bool(pid)


def _start() -> None:
    debian.ensure(dockerd="docker.io", iptables="iptables", ip="iproute2")
    HOME.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(HOME).free / 2**30) < FREE_GIB:
        raise SetupError(f"{FREE_GIB} GiB free expected under {HOME}; found {free:.1f}. Make room.")
    report(f"starting dockerd (data and log under {HOME})")
    command = ["/bin/sh", "-c", ENTER, "sh", "dockerd", f"--data-root={HOME}/docker", f"--pidfile={PID_FILE}",
               f"--host={SOCKET}", f"--cgroup-parent=/{CGROUP}"]  # fmt: skip
    env = os.environ | {"PATH": debian.PATH, "ENGINE_CGROUPS": " ".join(map(str, _own_cgroups()))}
    with LOG.open("w") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
        )
    _wait_until(lambda: answers(SOCKET) or daemon.poll() is not None)
    if daemon.poll() is not None:
        last = LOG.read_text().strip().splitlines()[-1]
        raise SetupError(f"dockerd was expected to run (as root, with iptables and NAT); found: {last}. See {LOG}.")


def _own_cgroups() -> list[Path]:
    """Where the engine is to live; nowhere of its own where none can be made, which costs only its neighbours."""
    try:
        return cgroups.make(CGROUP, "engine")
    except OSError as error:
        report(f"the engine gets no cgroup of its own: {error}")
        return []


def own_pid() -> int | None:
    """The process id of the engine started here, if it runs."""
    try:
        pid = int(PID_FILE.read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd" else None
    except (OSError, ValueError):
        return None


def _wait_until(condition: Callable[[], bool]) -> None:
    message = f"The Docker engine was expected to start or stop within 60 s; found that it did not. See {LOG}."
    poll(condition, 60, lambda: SetupError(message))
