"""What a migration leaves behind for the next run, and for a rollback."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.paths import STATE
from ops.whole_file import write_whole


@dataclass(kw_only=True)
class Journal:
    """Where a migration continues after an interruption, and what a rollback restores; a file of this checkout."""

    source_url: str
    source: str
    target: str
    alias: str
    snapshot: str = ""
    before: str | None = None  # what the alias served before it was cut over
    cut_over: bool = False

    @staticmethod
    def path(alias: str) -> Path:
        return STATE / "migrations" / f"{alias}.json"

    def write(self) -> None:
        path = self.path(self.alias)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, alias: str) -> "Journal | None":
        path = cls.path(alias)
        return cls(**json.loads(path.read_text())) if path.exists() else None
