"""The standard library's documentation is taken without anything happening, a folder without anything being lost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.corpus import Document, Unreadable, folder

# Run by itself, because what is imported once shows no effect a second time. Whatever an import does to the world
# outside is stopped and told; names of modules may be given in the place of the whole library.
WATCHED_IMPORT = """
import json, signal, sys, threading
from ops import corpus

TOLD = ("socket.connect", "socket.bind", "subprocess.Popen", "webbrowser.open", "os.system", "os.fork", "os.exec",
        "os.posix_spawn", "os.chdir", "os.putenv", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.kill")
told = []

def watch(event, arguments):
    writes = event == "open" and set(str(arguments[1])) & set("wax+")
    if event in TOLD or writes:
        told.append(event)
        raise RuntimeError(event)

handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
if sys.argv[1:]:
    corpus._module_names = lambda: iter(sys.argv[1:])
sys.addaudithook(watch)
documents = list(corpus.standard_library())
told += [str(number) for number, handler in handlers.items() if signal.getsignal(number) != handler]
told += [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
report = {"told": told, "sources": [d.source for d in documents], "titles": [d.title for d in documents]}
report["shortest"] = min((len(d.text) for d in documents), default=0)
report["loads"] = next((d.text for d in documents if d.title == "json.loads"), "")
print("REPORT" + json.dumps(report))
"""


def watched_import(*names: str) -> tuple[dict[str, Any], str]:
    """The report, and whatever else was written."""
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED_IMPORT, *names],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm", "BROWSER": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    said, _, report = ended.stdout.partition("REPORT")
    return json.loads(report), said + ended.stderr


@pytest.fixture(scope="module")
def library() -> tuple[dict[str, Any], str]:
    return watched_import()


def test_the_standard_library_gives_thousands_of_documents_each_with_a_source_of_its_own(
    library: tuple[dict[str, Any], str],
) -> None:
    sources = library[0]["sources"]
    assert len(sources) > 3000
    assert len(set(sources)) == len(sources)
    assert library[0]["shortest"] >= 40
    assert {"json", "json.loads", "pathlib.Path", "pathlib.Path.glob", "asyncio.runners.run"} <= set(
        library[0]["titles"]
    )


def test_a_function_is_indexed_with_its_name_its_signature_and_its_words(library: tuple[dict[str, Any], str]) -> None:
    assert library[0]["loads"].startswith("json.loads(s, *, cls=None")
    assert "to a Python object" in library[0]["loads"]


def test_taking_the_library_in_does_nothing_else(library: tuple[dict[str, Any], str]) -> None:
    assert library[0]["told"] == []
    assert library[1] == ""


def test_an_import_that_does_something_would_be_told() -> None:
    assert watched_import("antigravity")[0]["told"] == ["webbrowser.open"]
    assert "The Zen of Python" in watched_import("this")[1]


def put(root: Path, name: str, content: bytes | str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_every_file_of_a_folder_is_a_document_of_its_format_or_is_reported(tmp_path: Path) -> None:
    page = "<title>The page</title><p>Hello</p>"
    put(tmp_path, "deep/page.HTML", page)
    put(tmp_path, "guide.md", "# Guide\r\n\r\nText.")
    put(tmp_path, "notes.txt", "\ufeffFirst line.")
    put(tmp_path, "paper.pdf", b"%PDF")
    put(tmp_path, "README", "Text without an ending.")
    (tmp_path / "folder.md").mkdir()
    put(tmp_path, "folder.md/inside.rst", "Inside.")
    found = sorted(folder(tmp_path), key=lambda each: each.source)
    assert [each.source for each in found if isinstance(each, Unreadable)] == ["README", "paper.pdf"]
    assert [each for each in found if isinstance(each, Document)] == [
        Document(source="deep/page.HTML", title="", text=page, format="html"),
        Document(source="folder.md/inside.rst", title="inside", text="Inside."),
        Document(source="guide.md", title="", text="# Guide\n\nText.", format="markdown"),
        Document(source="notes.txt", title="notes", text="First line."),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("latin.txt", "caf\xe9".encode("latin-1"), "found UnicodeDecodeError"),
        ("empty.md", " \n\t", "found an empty document"),
        ("slides.pdf", b"%PDF", "expected Markdown, HTML or text (.md .markdown .html .htm .txt .rst), found .pdf"),
    ],
)
def test_an_unreadable_file_is_reported_with_its_reason_and_stops_no_other(
    tmp_path: Path, name: str, content: bytes | str, reason: str
) -> None:
    put(tmp_path, name, content)
    put(tmp_path, "zebra.md", "Kept.")
    skipped, kept = folder(tmp_path)
    assert isinstance(skipped, Unreadable)
    assert skipped.source == name
    assert reason in skipped.reason
    assert isinstance(kept, Document)


def test_a_file_name_that_is_no_utf_8_has_a_source_that_is(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    put(tmp_path, name, "Text.")
    [found] = folder(tmp_path)
    assert isinstance(found, Document)
    assert found.source == r"caf\xe9.md"


def test_links_to_folders_and_to_nothing_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a-folder").mkdir()
    put(tmp_path, "a-folder/inside.md", "Text.")
    (tmp_path / "link").symlink_to(tmp_path / "a-folder")
    (tmp_path / "link.md").symlink_to(tmp_path / "nowhere")
    found = {each.source: type(each) for each in folder(tmp_path)}
    assert found == {"a-folder/inside.md": Document, "link": Unreadable, "link.md": Unreadable}


def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    put(tmp_path, "private.md", "Mine.")
    monkeypatch.setattr(Path, "read_text", refuse)  # a mode would not stop root
    [skipped] = folder(tmp_path)
    assert isinstance(skipped, Unreadable)
    assert "PermissionError" in skipped.reason


def test_a_folder_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "private").mkdir()
    put(tmp_path, "zebra.md", "Kept.")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert {each.source: type(each) for each in folder(tmp_path)} == {"zebra.md": Document, "private": Unreadable}


def test_hidden_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "license.txt").write_text("terms and conditions")
    (tmp_path / "guide.txt").write_text("how it is done")
    assert [document.source for document in folder(tmp_path)] == ["guide.txt"]
