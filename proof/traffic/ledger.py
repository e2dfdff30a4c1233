"""Acknowledged points: one line each, on disk before the next write."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self


class Acknowledgements(Protocol):
    """Receives the points of acknowledged writes."""

    def acknowledge(self, points: Mapping[int, str]) -> None:
        """Note points (id -> fingerprint) whose write was answered with success."""


class Ledger:
    """Append-only JSON Lines, id and fingerprint of the vector; safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._entries: dict[int, str] = read(path) if path.exists() else {}
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        if self._entries:
            self._file.write("\n")  # a line that was cut short must not swallow the next one

    def acknowledge(self, points: Mapping[int, str]) -> None:
        """Note points (id -> fingerprint) whose write was answered with success; handed to the system on return."""
        lines = "".join(json.dumps({"id": point, "sha256": mark}) + "\n" for point, mark in points.items())
        with self._lock:
            self._file.write(lines)
            self._file.flush()
            self._entries |= points

    @property
    def entries(self) -> dict[int, str]:
        """Id -> fingerprint of all that was acknowledged so far."""
        with self._lock:
            return dict(self._entries)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> dict[int, str]:
    """The entries of a ledger; a line that was cut short by the death of its writer was never acknowledged."""
    found: dict[int, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[int(entry["id"])] = str(entry["sha256"])
    return found
