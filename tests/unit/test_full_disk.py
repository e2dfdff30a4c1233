"""The scripts that give a node a small disk and take it back: real mounts, in a mount namespace of their own.

Stand-ins: `mkfs.ext4` and the loop device. A file system is a folder beside the disk's file, and is bound.
"""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from proof.experiments.full_disk import BOUND, ENTER, FILLER, UNBOUND
from tests.unit.conftest import checker

STAND_INS = {
    "mkfs.ext4": 'for disk; do :; done\nmkdir -p "$disk.fs/lost+found"',
    "mount": '[ "$1 $2" = "-o loop" ] || exit 64\nexec /bin/mount --bind "$3.fs" "$4"',
}
OUTSIDE_A_MOUNT = 'findmnt --noheadings --mountpoint "$0" && exit 65 || true'
ON_A_MOUNT = 'findmnt --noheadings --mountpoint "$0" > /dev/null'


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A node's volume with something in it, and the stand-ins beside it."""
    for name, script in STAND_INS.items():
        stand_in(tmp_path, name, script)
    folder = tmp_path / "_data"
    (folder / "collections").mkdir(parents=True)
    (folder / "collections" / "points").write_text("kept")
    (folder / "raft_state.json").write_text("{}")
    (folder / "raft_state.json").chmod(0o640)
    return folder


def stand_in(beside: Path, name: str, script: str) -> None:
    program = beside / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def run(volume: Path, *scripts: str) -> subprocess.CompletedProcess[str]:
    """Run them one after the other, each as the engine's helper does, where no other process sees the mounts."""
    one_by_one = "\n".join(f'sh -euc {shlex.quote(script)} "$0" 8' for script in scripts)
    return subprocess.run(
        [*unshare("--mount"), "sh", "-euc", one_by_one, str(volume)],
        env={**os.environ, "PATH": f"{volume.parent / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def unshare(*namespaces: str) -> list[str]:
    """What runs a command as root of namespaces of its own; the test is skipped where nobody may have any."""
    enter = [checker("unshare", "util-linux"), "--user", "--map-root-user", *namespaces]
    tried = subprocess.run([*enter, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        remedy = "see kernel.apparmor_restrict_unprivileged_userns"
        refused = f"expected a user namespace, found: {tried.stderr.strip()}; {remedy}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(refused)
    return enter


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(file.relative_to(folder)): (file.read_text(), file.stat().st_mode & 0o777)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def beside(volume: Path) -> set[str]:
    return {path.name for path in volume.parent.iterdir()} - {"bin", volume.name, f"{volume.name}.disk.fs"}


def test_what_a_node_had_and_what_it_wrote_on_the_small_disk_is_there_at_the_end(volume: Path) -> None:
    before = contents(volume)
    write = f'{ON_A_MOUNT}; echo -n new > "$0/wal"; rm "$0/collections/points"; touch "$0/{FILLER}"'
    done = run(volume, BOUND, write, UNBOUND, OUTSIDE_A_MOUNT)
    assert done.returncode == 0, done.stderr
    del before["collections/points"]
    assert contents(volume) == before | {"wal": ("new", 0o644)}
    assert beside(volume) == set()


def test_the_small_disk_shows_what_the_node_had_and_nothing_else(volume: Path, tmp_path: Path) -> None:
    done = run(volume, BOUND, f'{ON_A_MOUNT}; cp -a "$0" {shlex.quote(str(tmp_path / "seen"))}')
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "seen") == contents(volume)
    assert not (tmp_path / "seen" / "lost+found").exists()
    assert (tmp_path / "_data.disk").stat().st_size >= 8 * 1024**2, "no room beside what is there"


@pytest.mark.parametrize("broken", ["mkfs.ext4", "cp", "mount"])
def test_a_volume_that_gets_no_small_disk_is_as_it_was(volume: Path, broken: str) -> None:
    before = contents(volume)
    stand_in(volume.parent, broken, "exit 28")
    done = run(volume, f"trap '{OUTSIDE_A_MOUNT}' EXIT; sh -euc {shlex.quote(BOUND)} \"$0\" 8")
    assert done.returncode == 28, done.stderr
    assert contents(volume) == before
    assert beside(volume) <= {"_data.disk"}


def test_what_cannot_be_brought_back_stays_on_the_small_disk(volume: Path) -> None:
    no_room = f"PATH={shlex.quote(str(volume.parent / 'full'))}:$PATH; {UNBOUND}"
    program = volume.parent / "full" / "cp"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 28\n")
    program.chmod(0o755)
    tried = f'sh -euc {shlex.quote(no_room)} "$0" 8 || {{ [ $? = 28 ]; {ON_A_MOUNT}; cat "$0/collections/points"; }}'
    done = run(volume, BOUND, tried)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "kept"


def test_without_an_engine_beside_the_containers_nothing_is_entered() -> None:
    alone = unshare("--pid", "--fork", "--mount-proc")
    done = subprocess.run(
        [*alone, "sh", "-euc", ENTER, "enter", "echo entered"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "expected a dockerd" in done.stderr
    assert "entered" not in done.stdout
