"""Where documents come from: a request, or the folder of sources; what cannot be read is reported in its place."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rag.contract import Document, Skipped, message

FORMATS = {
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".txt", ".text", ".rst"), "text"),
}
SHOWN_CHARACTERS = 200  # of a source that may be anything

Entry = Document | Skipped


class Sent:
    """The documents of a request, each validated by itself."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self._documents = documents
        fields = (value for document in documents if isinstance(document, dict) for value in document.values())
        self.held_bytes = sum(map(sys.getsizeof, fields))

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[Entry]:
        for number, document in enumerate(self._documents):
            source = document.get("source") if isinstance(document, dict) else None
            yield _entry(source if isinstance(source, str) and source else f"documents[{number}]", document)


def skip(source: str, reason: str) -> Skipped:
    """Report a source, whatever its name is made of."""
    return Skipped(source=source[:SHOWN_CHARACTERS].encode(errors="backslashreplace").decode(), reason=reason)


def _entry(source: str, document: Any) -> Entry:
    try:
        return Document.model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'document'}: {message(each)}" for each in error.errors()
        )
        return skip(source, f"{wrong}; correct it and send the document again")


class Folder:
    """The files below a folder, by their paths in it; listed when first asked for, read one at a time."""

    held_bytes = 0

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root.resolve()
        self._max_bytes = max_bytes

    @cached_property
    def _found(self) -> list[Path | Skipped]:
        return list(self._list())

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Entry]:
        return (found if isinstance(found, Skipped) else self._read(found) for found in self._found)

    def _list(self) -> Iterator[Path | Skipped]:
        """Every file, and as skipped: hidden names, linked folders, and folders that cannot be opened."""
        errors: list[OSError] = []
        for folder, folders, files in os.walk(self._root, onerror=errors.append):
            for name in sorted(folders):
                path = Path(folder, name)
                if name.startswith(".") or path.is_symlink():
                    folders.remove(name)
                    yield self._skip(path, "expected a folder, found a hidden or linked one; move it or copy its files")
            folders.sort()
            yield from (Path(folder, name) for name in sorted(files))
        for error in errors:
            yield self._skip(
                Path(error.filename), f"expected a readable folder, found {error.strerror}; change its mode"
            )

    def _read(self, path: Path) -> Entry:
        try:
            if reason := self._unfit(path):
                return self._skip(path, reason)
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            return self._skip(path, "expected UTF-8, found other bytes; convert the file")
        except (OSError, RuntimeError) as error:  # RuntimeError: symlinks in a circle
            found = getattr(error, "strerror", None) or type(error).__name__
            return self._skip(path, f"expected a readable file, found {found}; change its mode or remove it")
        source = path.relative_to(self._root).as_posix()
        return _entry(source, {"source": source, "text": text, "format": FORMATS[path.suffix.lower()]})

    def _unfit(self, path: Path) -> str | None:
        if path.name.startswith("."):
            return "expected a document, found a hidden file; rename it"
        if path.suffix.lower() not in FORMATS:
            return f"expected {', '.join(FORMATS)}, found {path.suffix or 'no suffix'}; convert the file"
        if not path.resolve(strict=True).is_relative_to(self._root):
            return "expected a file of the folder, found a link out of it; copy the file"
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return "expected a regular file, found another kind; remove it"
        if found.st_size > self._max_bytes:
            return f"expected at most {self._max_bytes:,} bytes, found {found.st_size:,}; split the file"
        return None

    def _skip(self, path: Path, reason: str) -> Skipped:
        return skip(path.relative_to(self._root).as_posix(), reason)
