"""Writing a file that is never read half written."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace the file by one with this text, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
