"""Which parts this machine runs the stack with: written beside the state before `ops up`, read here."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from ops.paths import PARTS


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the stack: what was wanted, what is used, and whether that is the real thing."""

    part: str
    wanted: str
    used: str
    kind: str
    note: str = ""

    @property
    def real(self) -> bool:
        return self.kind == "real"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The environment to run in, overrides of the stack file, and the list of parts; all empty when none is written."""

    env: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    def of(self, name: str) -> Part | None:
        """The part of that name, if it is listed."""
        return next((part for part in self.parts if part.part == name), None)


def load_parts() -> Parts:
    """Read the list; an installation that needs none has none, and AS_IS=1 wants the stack file as it is."""
    if os.environ.get("AS_IS") or not PARTS.exists():
        return Parts()
    written: dict[str, Any] = json.loads(PARTS.read_text())
    return Parts(env=written["env"], config=written["config"], parts=tuple(Part(**part) for part in written["parts"]))
