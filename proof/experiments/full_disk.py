"""A node whose disk fills up: on Docker, a small disk of its own, so that the machine's own does not fill.

A volume on Docker is a folder of the machine's own disk. What is in it is copied to a file with a file system in it,
and that is mounted over the folder, by a container that enters the engine's own mounts. What the folder held before
lies hidden below meanwhile. It takes an engine that lets a container do that, `mkfs.ext4` and a loop device beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from access.docker_engine import LABEL, await_end
from ops.daytwo.docker_disk import STORAGE, DockerDisk
from proof.experiments.faults import Heal
from proof.targets.docker_stack import OwnStack
from proof.targets.prerequisites import PrerequisiteRefused

ORDINAL = 2
NODE = f"qdrant-{ORDINAL}"
ROOM_MIB = 512  # beside what is there: the node must be well before its disk is filled
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
def small_disk(stack: OwnStack) -> Iterator[None]:
    """The node's data on a small disk, and back on its own at the end; the node is away while it is copied.

    GroundRefused when that cannot be done here. The node stays away when it could not be brought back whole.
    """
    _while_stopped(stack, BOUND)
    try:
        yield
    finally:
        _while_stopped(stack, UNBOUND)


def fill(stack: OwnStack) -> Heal:
    """Write until nothing more goes on the disk; healed by making room and starting the node again, as one would.

    RuntimeError when the disk did not fill: then nothing was tried.
    """
    write = ["dd", "if=/dev/zero", f"of={STORAGE}/{FILLER}", "bs=1M"]
    said = stack.container(NODE).exec_run(write).output.decode(errors="replace").strip()

    def heal() -> None:
        # A node that could not write its consensus down does not go on by itself.
        _while_stopped(stack, f'rm -f "$0/{FILLER}"')

    if said and FULL not in said:
        heal()
        raise RuntimeError(f"expected the disk of {NODE} to fill, found: {said[-200:]}. Nothing was tried")
    return heal


def _while_stopped(stack: OwnStack, script: str) -> None:
    """Run it where the engine runs, while the node is away; what did not go well starts no node on it."""
    disk = DockerDisk(engine=stack.engine, prefix=stack.prefix, ordinal=ORDINAL)
    disk.end()
    _where_the_engine_is(stack, disk, script)
    stack.container(NODE).start()


def _where_the_engine_is(stack: OwnStack, disk: DockerDisk, script: str) -> None:
    folder = stack.engine.volumes.get(disk.name).attrs["Mountpoint"]
    helper = stack.engine.containers.create(
        stack.container(NODE).image.id,
        ["sh", "-euc", ENTER, "enter", script, folder, str(ROOM_MIB)],
        user="root",
        cap_add=["SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT"],
        security_opt=["apparmor=unconfined"],
        device_cgroup_rules=list(LOOP_DEVICES),
        labels={LABEL: stack.prefix},
        pid_mode="host",
        network_mode="none",
    )
    try:
        await_end(helper, f"what gives {NODE} another disk")
    except RuntimeError as error:
        raise PrerequisiteRefused(str(error)) from error
    finally:
        helper.remove(force=True)
