"""One part of the stack: what is wanted, what is used, and the order in which that is decided."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sandbox.progress import SetupError


@dataclass(frozen=True)
class Found:
    """What one way of getting a part came up with."""

    used: str
    note: str = ""
    kind: Literal["real", "stand-in"] = "real"


@dataclass(frozen=True)
class Part(Found):
    """What was found, for which part, in place of what."""

    part: str = ""
    wanted: str = ""


def first(part: str, wanted: str, *ways: Callable[[], Found | None]) -> Part:
    """Take the part from the first way that has it; later ways are not even tried."""
    for way in ways:
        if found := way():
            return Part(part=part, wanted=wanted, **asdict(found))
    raise SetupError(f"{part}: {wanted} was expected; found neither it nor a way to get or replace it. Install it.")


def write(path: Path, env: Mapping[str, str], images: Mapping[str, Part], others: Iterable[Part]) -> None:
    """Leave the decisions where `ops` reads them; an image under its real name overrides nothing."""
    config = {key: part.used for key, part in images.items() if part.used != part.wanted}
    parts = [asdict(part) for part in (*others, *images.values())]
    path.write_text(json.dumps({"env": env, "config": config, "parts": parts}, indent=2) + "\n")
