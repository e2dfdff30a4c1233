"""Write the digest of each image beside its tag in a stack file, so that what was tested is what runs."""

import re
from collections.abc import Callable
from pathlib import Path

from ops.registry import Reference, digest_of
from ops.stack import OperatorError
from ops.whole_file import write_whole
from platforms.stack_file import PROJECT

LINE = re.compile(rf"""^(?P<key>\s*["']?{PROJECT}:image\w+["']?:\s*["']?)(?P<image>[^\s#@"']+)(?P<rest>.*)$""")


def pin(stack_file: Path, digest: Callable[[Reference], str] = digest_of) -> list[str]:
    """Pin every image of the file that has a tag only; returns what was pinned. All of them, or the file stays."""
    pinned: list[str] = []
    lines = [_pinned(line, digest, pinned) for line in stack_file.read_text().splitlines()]
    if not pinned:
        return []
    write_whole(stack_file, "\n".join(lines) + "\n")
    return pinned


def _pinned(line: str, digest: Callable[[Reference], str], pinned: list[str]) -> str:
    found = LINE.match(line)
    if not found or found["rest"].startswith("@"):
        return line
    reference = Reference.parse(found["image"])
    if not reference.tag:
        raise OperatorError(f"expected a tag, found {found['image']}; nothing was written")
    image = f"{found['image']}@{digest(reference)}"
    pinned.append(image)
    return f"{found['key']}{image}{found['rest']}"
