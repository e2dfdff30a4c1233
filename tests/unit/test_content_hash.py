"""The RAG image is built anew when something that is in it has changed, and for nothing else."""

from pathlib import Path

import pytest

from platforms.docker import content_hash


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with a module that goes into the image, and a rule that leaves all else out."""
    (tmp_path / ".dockerignore").write_text("*\n!rag/*.py\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "rag").mkdir()
    (tmp_path / "rag" / "app.py").write_text("one = 1\n")
    return tmp_path


@pytest.mark.parametrize("name", ["rag/app.py", "rag/new.py", "Dockerfile", ".dockerignore"])
def test_a_changed_file_of_the_image_is_another_image(context: Path, name: str) -> None:
    before = content_hash(context, {})
    (context / name).write_text("!rag/*.py\n")
    assert content_hash(context, {}) != before


@pytest.mark.parametrize(
    "name", [".mypy_cache/3.11/app.json", "rag/__pycache__/app.pyc", "tests/test_app.py", "README.md"]
)
def test_what_does_not_go_into_the_image_builds_none(context: Path, name: str) -> None:
    before = content_hash(context, {})
    (context / name).parent.mkdir(parents=True, exist_ok=True)
    (context / name).write_text("made by a tool\n")
    assert content_hash(context, {}) == before


def test_another_base_is_another_image(context: Path) -> None:
    assert content_hash(context, {"BASE": "python:3.11"}) != content_hash(context, {"BASE": "python:3.12"})
