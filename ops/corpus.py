"""Documents to index: the standard library's own documentation, or a folder of the operator's files."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FORMATS = {
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".html", ".htm"), "html"),
    **dict.fromkeys((".txt", ".rst"), "text"),
}
READ = "Markdown, HTML or text (" + " ".join(FORMATS) + ")"
# Importing these opens windows, browsers or test suites, or print when they are imported.
UNSAFE = {"antigravity", "this", "idlelib", "test", "turtledemo", "lib2to3", "__main__", "turtle", "tkinter"}
NOISE = {"encodings"}  # one text, a thousand times
SHORTEST = 40  # characters: less than a sentence is noise in an index


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document as the ingest role takes it, which parses its format; an empty title is found in the text."""

    source: str
    title: str
    text: str
    format: str = "text"


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
    """Markdown, HTML and text files below `path`; hidden names are left out, all else that is not read is reported."""
    errors: list[OSError] = []
    for root, folders, files in os.walk(path, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(root, name).is_symlink():
                yield Unreadable(source=_source(path, root, name), reason="expected a folder, found a link to one")
        for name in sorted(name for name in files if not name.startswith(".")):
            yield _read(Path(root, name), _source(path, root, name))
    for error in errors:
        yield Unreadable(source=_source(path, error.filename), reason=f"expected a readable folder, found {error}")


def _source(top: Path, *parts: str) -> str:
    """The path below `top`; bytes of a name that are no UTF-8 are written as \\xNN."""
    return str(Path(*parts).relative_to(top)).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _read(file: Path, source: str) -> Document | Unreadable:
    form = FORMATS.get(file.suffix.lower())
    if form is None:
        return Unreadable(source=source, reason=f"expected {READ}, found {file.suffix or 'no ending'}; convert it")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Unreadable(source=source, reason=f"expected readable UTF-8 text, found {type(error).__name__}: {error}")
    if not text.strip():
        return Unreadable(source=source, reason="expected text, found an empty document")
    return Document(source=source, title=Path(source).stem if form == "text" else "", text=text, format=form)


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
