"""A node whose disk fills up: on Docker, a small disk of its own, so that the machine's own does not fill.

A volume on Docker is a folder of the machine's own disk. A file with a file system in it is mounted in that folder's
place by a container that enters the engine's own mounts, be those Linux's or of the virtual machine of a laptop.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ops.daytwo.node_disk import STORAGE
from proof.faults import Heal
from proof.own_stack import OwnStack
from providers.engine import LABEL

NODE = "qdrant-2"
ROOM_MIB = 512  # beside what is there: the node must be well before its disk is filled
FILLER = f"{STORAGE}/filler"
FULL = "No space left on device"
ENTER = """
engine=$(grep -lx dockerd /proc/[0-9]*/comm | head -n 1 | cut -d / -f 3)
exec nsenter --target "$engine" --mount -- sh -euc "$@"
"""
LOOP_DEVICES = ("b 7:* rwm", "c 10:237 rwm")  # and what hands them out
# $0 is the volume's folder, $1 the room in MiB. The file lies beside the folder, and goes with the volume.
BOUND = """
truncate -s $(($(du -sm "$0" | cut -f 1) + $1))M "$0.disk"
mkfs.ext4 -q -F -m 0 "$0.disk"
mkdir -p "$0.at"
mount -o loop "$0.disk" "$0.at"
rmdir "$0.at/lost+found"
cp -a "$0/." "$0.at"
umount "$0.at"
mount -o loop "$0.disk" "$0"
"""
UNBOUND = """
umount "$0"
mount -o loop "$0.disk" "$0.at"
find "$0" -mindepth 1 -delete
cp -a "$0.at/." "$0"
umount "$0.at"
rmdir "$0.at"
rm "$0.disk"
"""


@contextmanager
def small_disk(stack: OwnStack) -> Iterator[None]:
    """Move the node's data to a small disk, and back at the end. The node is away while it is moved."""
    _while_stopped(stack, BOUND)
    try:
        yield
    finally:
        _while_stopped(stack, UNBOUND)


def fill(stack: OwnStack) -> Heal:
    """Write until nothing more goes on the disk; healed by making room and starting the node again, as one would.

    RuntimeError when the disk did not fill: then nothing was tried.
    """
    container = stack.container(NODE)
    said = container.exec_run(["dd", "if=/dev/zero", f"of={FILLER}", "bs=1M"]).output.decode(errors="replace")

    def heal() -> None:
        container.exec_run(["rm", "-f", FILLER])
        container.kill()  # a node that could not write its consensus down does not go on by itself
        container.start()
        if FULL not in said:
            raise RuntimeError(f"expected the disk of {NODE} to fill, found: {said.strip()[-200:]}. Nothing was tried")

    return heal


def _while_stopped(stack: OwnStack, script: str) -> None:
    container = stack.container(NODE)
    [folder] = (mount["Source"] for mount in container.attrs["Mounts"] if mount["Destination"] == STORAGE)
    container.kill()
    try:
        stack.engine.containers.run(
            container.image.id,
            ["sh", "-euc", ENTER, "enter", script, folder, str(ROOM_MIB)],
            user="root",
            cap_add=["SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT"],
            device_cgroup_rules=list(LOOP_DEVICES),
            labels={LABEL: stack.prefix},
            pid_mode="host",
            network_mode="none",
            remove=True,
            stderr=True,
        )
    finally:
        container.start()
