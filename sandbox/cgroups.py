"""A cgroup of one name in every hierarchy: there is one in version 2, one for each controller in version 1, or both."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def make(*names: str) -> list[Path]:
    """Make the cgroup at that path, and those above it, in every hierarchy; processes enter by its `cgroup.procs`."""
    made = []
    for root in _hierarchies():
        above = root
        for name in names:
            _hand_down(above)
            (above / name).mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if root != ROOT and (above / setting).exists():
                    (above / name / setting).write_text((above / setting).read_text())
            above /= name
        made.append(above)
    return made


def clear(*names: str) -> bool:
    """Remove that cgroup from the leaves up; whether nothing of it is left."""
    for root in _hierarchies():
        top = root.joinpath(*names)
        for folder in sorted((top, *top.rglob("*/")), key=lambda path: -len(path.parts)) if top.exists() else ():
            try:
                folder.rmdir()
            except OSError:  # a process is still in there
                return False
    return True


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in ROOT.iterdir() if not path.is_symlink() and (path / "cgroup.procs").exists()]


def _hand_down(group: Path) -> None:
    """In version 2 a child has only the controllers that its parent hands down."""
    if (offered := group / "cgroup.controllers").exists() and _hierarchies() == [ROOT]:
        for controller in offered.read_text().split():
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
