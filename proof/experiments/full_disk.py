"""A node whose disk fills up: on Docker, a small disk of its own, so that the machine's own does not fill.

A volume on Docker is a folder of the machine's own disk. What is in it is copied to a file with a file system in it,
and that is mounted over the folder, by a container that enters the engine's own mounts. What the folder held before
lies hidden below meanwhile. It takes an engine that lets a container do that, `mkfs.ext4` and a loop device beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from access.docker_engine import LABEL, await_end
from ops.daytwo.docker_disk import STORAGE, DockerDisk
from proof.experiments.experiment import Undo
from proof.targets.docker_target import DockerTarget
from proof.targets.target import PrerequisiteRefused

ORDINAL = 2
NODE = f"qdrant-{ORDINAL}"
ROOM_MIB = 512  # beside the node's data: it must be settled before its disk is filled
FILLER = "filler"
FULL = "No space left on device"
ENTER = """
engine=$(grep -lx dockerd /proc/[0-9]*/comm | head -n 1 | cut -d / -f 3)
[ "$engine" ] || { echo "expected a dockerd beside the containers, found none" >&2; exit 1; }
exec nsenter --target "$engine" --mount -- sh -euc "$@"
"""
LOOP_DEVICES = ("b 7:* rwm", "c 10:237 rwm")  # and what hands them out
# $0 is the volume's folder, $1 the room in MiB. What is made beside the folder goes with the volume.
BOUND = """
trap 'umount "$0.at" 2>/dev/null || true; rmdir "$0.at" 2>/dev/null || true' EXIT
truncate -s $(($(du -sm "$0" | cut -f 1) + $1))M "$0.disk"
mkfs.ext4 -q -F -m 0 "$0.disk"
mkdir -p "$0.at"
mount -o loop "$0.disk" "$0.at"
rmdir "$0.at/lost+found"
cp -a "$0/." "$0.at"
umount "$0.at"
mount -o loop "$0.disk" "$0"
"""
# All of it is beside the folder before anything in the folder goes.
UNBOUND = f"""
rm -f "$0/{FILLER}"
rm -rf "$0.at"
cp -a "$0" "$0.at"
umount "$0"
find "$0" -mindepth 1 -delete
cp -a "$0.at/." "$0"
rm -rf "$0.at" "$0.disk"
"""


@contextmanager
def small_disk(target: DockerTarget) -> Iterator[None]:
    """The node's data on a small disk, and back on its own at the end; the node is away while it is copied.

    PrerequisiteRefused when that cannot be done here. The node stays stopped when its data could not be copied back.
    """
    _while_stopped(target, BOUND)
    try:
        yield
    finally:
        _while_stopped(target, UNBOUND)


def fill(target: DockerTarget) -> Undo:
    """Fill the disk; undone as by an operator, who makes room and starts the node again.

    RuntimeError when the disk did not fill: then nothing was tried.
    """
    write = ["dd", "if=/dev/zero", f"of={STORAGE}/{FILLER}", "bs=1M"]
    output = target.container(NODE).exec_run(write).output.decode(errors="replace").strip()

    def undo() -> None:
        # A node that could not write its consensus down does not go on by itself.
        _while_stopped(target, f'rm -f "$0/{FILLER}"')

    if output and FULL not in output:
        undo()
        raise RuntimeError(f"expected the disk of {NODE} to fill, found: {output[-200:]}. Nothing was tried")
    return undo


def _while_stopped(target: DockerTarget, script: str) -> None:
    """Run it where the engine runs, while the node is away; after a failure the node stays stopped."""
    disk = DockerDisk(engine=target.engine, prefix=target.stack.prefix, ordinal=ORDINAL)
    disk.end()
    _run_beside_the_engine(target, disk, script)
    target.container(NODE).start()


def _run_beside_the_engine(target: DockerTarget, disk: DockerDisk, script: str) -> None:
    folder = target.engine.volumes.get(disk.name).attrs["Mountpoint"]
    helper = target.engine.containers.create(
        target.container(NODE).image.id,
        ["sh", "-euc", ENTER, "enter", script, folder, str(ROOM_MIB)],
        user="root",
        cap_add=["SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT"],
        security_opt=["apparmor=unconfined"],
        device_cgroup_rules=list(LOOP_DEVICES),
        labels={LABEL: target.stack.prefix},
        pid_mode="host",
        network_mode="none",
    )
    try:
        await_end(helper, f"what gives {NODE} another disk")
    except RuntimeError as error:
        raise PrerequisiteRefused(str(error)) from error
    finally:
        helper.remove(force=True)
