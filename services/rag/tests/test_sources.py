"""The files of SOURCES_DIR are indexed by `POST /reindex` without documents; what is not is listed with the reason."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rag.contract import Document, Skipped
from rag.service import Service
from rag.sources import Folder, Sent

MIB = 2**20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    (folder / "guide").mkdir(parents=True)
    (folder / "a.md").write_bytes(b"\xef\xbb\xbf# A\n\nText.")
    (folder / "guide" / "b.HTML").write_text("<title>B</title>Text.")
    (folder / "guide" / "c.txt").write_text("Text.")
    return folder


def listed(root: Path, max_bytes: int = MIB) -> tuple[dict[str, str], dict[str, str]]:
    """Return the formats of the documents, and the reasons of what was skipped, by source."""
    found = list(Folder(root, max_bytes))
    documents = {each.source: each.format for each in found if isinstance(each, Document)}
    return documents, {each.source: each.reason for each in found if isinstance(each, Skipped)}


def test_the_suffix_gives_the_format(root: Path) -> None:
    assert listed(root) == ({"a.md": "markdown", "guide/b.HTML": "html", "guide/c.txt": "text"}, {})
    assert "# A\n\nText." in [each.text for each in Folder(root, MIB) if isinstance(each, Document)]


def test_nothing_is_skipped_in_silence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (root / "out.md").symlink_to(tmp_path / "secret.md")
    (root / "in.md").symlink_to(root / "a.md")
    (root / "gone.md").symlink_to(root / "nothing.md")
    (root / "circle.md").symlink_to(root / "circle.md")
    (root / "linked").symlink_to(tmp_path)
    (root / ".git").mkdir()
    (root / ".git" / "x.md").write_text("x")
    (root / ".hidden.md").write_text("x")
    (root / "paper.pdf").write_bytes(b"%PDF")
    (root / "README").write_text("x")
    (root / "latin.txt").write_bytes(b"\xfc")
    (root / "large.txt").write_text("x" * 2000)
    Path(os.fsdecode(bytes(root) + b"/\xff.md")).write_text("x")
    os.mkfifo(root / "pipe.md")
    documents, skipped = listed(root, 1000)
    assert set(documents) == {"a.md", "guide/b.HTML", "guide/c.txt", "in.md"}
    reasons = {
        "out.md": "found a link out of it",
        "gone.md": "found No such file",
        "circle.md": "found ",
        "linked": "found a hidden or linked one",
        ".git": "found a hidden or linked one",
        ".hidden.md": "found a hidden file",
        "paper.pdf": "found .pdf; convert",
        "README": "found no suffix",
        "latin.txt": "expected UTF-8",
        "large.txt": "expected at most 1,000 bytes, found 2,000",
        "\\udcff.md": "source: expected a valid string",
        "pipe.md": "found another kind",
    }
    assert set(skipped) == set(reasons)
    assert [source for source, reason in reasons.items() if reason not in skipped[source]] == []


def test_a_folder_that_cannot_be_opened_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("guide"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert listed(root)[1] == {"guide": "expected a readable folder, found Permission denied; change its mode"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("text", "document: expected"),
        ({"source": "s"}, "text: expected a value, found none"),
        ({"source": "s", "text": 5}, "text: expected a valid string, found 5"),
        ({"source": "s", "text": "x", "body": "y"}, "body: expected no such field"),
        (
            {"source": "s", "text": "x", "format": "pdf"},
            "format: expected 'text', 'markdown' or 'html', found 3 characters",
        ),
        ({"source": "s", "text": "x", "title": "t" * 1025}, "title: expected at most 1024 characters, found 1025 char"),
        ({"source": "", "text": "x"}, "source: expected at least 1 character, found 0 characters"),
        ({"source": "\ud800" * 2000, "text": "x"}, "source: expected"),
    ],
)
def test_a_wrong_document_is_reported_and_the_others_are_not(document: Any, reason: str) -> None:
    good = {"source": "good", "text": "x"}
    first, wrong, last = Sent([good, document, good])
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(wrong, Skipped)
    assert wrong.reason.startswith(reason)
    assert wrong.reason.endswith("; correct it and send the document again")
    assert wrong.source.encode()


@pytest.mark.anyio
@pytest.mark.parametrize("body", [None, {}])
async def test_without_documents_and_without_a_folder_the_missing_setting_is_named(
    assemble: Callable[..., Service], client: Callable[..., httpx.AsyncClient], body: Any, tmp_path: Path
) -> None:
    for sources_dir, found in ((None, "found no setting"), (tmp_path / "none", "found a folder that is not there")):
        async with client(assemble(role="ingest", sources_dir=sources_dir)) as caller:
            answer = await caller.post("/reindex", json=body) if body is not None else await caller.post("/reindex")
        assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
        assert "SOURCES_DIR" in answer.json()["message"]
        assert found in answer.json()["message"]
