"""Documents to index: the standard library's own documentation, or a folder of somebody's files."""

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup

TEXT_ENDINGS = {".md", ".markdown", ".txt", ".rst"}
HTML_ENDINGS = {".html", ".htm"}
# Importing these opens windows, browsers or test suites, or talks to whoever imports them.
UNSAFE = {"antigravity", "this", "idlelib", "test", "turtledemo", "lib2to3", "__main__", "turtle", "tkinter"}
NOISE = {"encodings"}  # one text, a thousand times
SHORTEST = 40  # characters: less than a sentence is noise in an index
LONGEST_TITLE = 1024  # characters the ingest role takes; one more and it refuses the whole batch


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document as the ingest role takes it."""

    source: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A document that was skipped, and why."""

    source: str
    reason: str


def standard_library() -> Iterator[Document]:
    """The documentation of the Python standard library installed here: each module, class and function."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in sorted(_module_names()):
        module = _imported(name)
        if module is not None:
            yield from _module_documents(module, version)


def folder(path: Path) -> Iterator[Document | Unreadable]:
    """Markdown, text and HTML files below `path`, but for hidden folders; what cannot be read is named instead."""
    for file in sorted(path.rglob("*")):
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        leads_nowhere = file.is_symlink() and not file.is_file()
        if (file.is_file() or leads_nowhere) and file.suffix.lower() in TEXT_ENDINGS | HTML_ENDINGS:
            yield _read(file, str(file.relative_to(path)))


def _read(file: Path, source: str) -> Document | Unreadable:
    try:
        title, text = file.stem, file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() in HTML_ENDINGS:
            title, text = _page(text, file.stem)
    except (OSError, UnicodeDecodeError, ParserRejectedMarkup) as error:
        return Unreadable(source=source, reason=f"expected readable UTF-8 text, found {type(error).__name__}: {error}")
    if not text.strip():
        return Unreadable(source=source, reason="expected text, found an empty document")
    return Document(source=source, title=title, text=text)


def _page(html: str, untitled: str) -> tuple[str, str]:
    page = BeautifulSoup(html, "html.parser")
    title = page.title.get_text(strip=True) if page.title else ""
    return title[:LONGEST_TITLE] or untitled, page.get_text("\n", strip=True)


def _module_names() -> Iterator[str]:
    for name in sys.stdlib_module_names:
        if name.startswith("_") or name in UNSAFE | NOISE:
            continue
        yield name
        spec = importlib.util.find_spec(name)
        for found in pkgutil.iter_modules(spec.submodule_search_locations or [] if spec else [], f"{name}."):
            if not found.name.rpartition(".")[2].startswith("_"):
                yield found.name


def _imported(name: str) -> ModuleType | None:
    """Platform modules of other systems cannot be imported here; that is no mistake."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception:
        return None


def _module_documents(module: ModuleType, version: str) -> Iterator[Document]:
    name = module.__name__
    if len(text := inspect.cleandoc(module.__doc__ or "")) >= SHORTEST:
        yield Document(source=f"python{version}/{name}", title=name, text=text)
    for member, value in sorted(vars(module).items()):
        if member.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        yield from _member_documents(f"{name}.{member}", value, version)


def _member_documents(name: str, value: object, version: str) -> Iterator[Document]:
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    if len(text := inspect.getdoc(value) or "") >= SHORTEST:
        yield Document(source=f"python{version}/{name}", title=name, text=f"{name}{_signature(value)}\n\n{text}")
    if inspect.isclass(value):
        for member, method in sorted(vars(value).items()):
            if not member.startswith("_") and inspect.isroutine(method):
                yield from _member_documents(f"{name}.{member}", method, version)


def _signature(value: object) -> str:
    """How it is called; an address in memory would make the text another one on each run."""
    try:
        return re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(value)))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
