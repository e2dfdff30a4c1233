"""A Python that the dependencies do not carry is refused in one sentence, before anything is installed."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).resolve().parents[2] / ".ci" / "python_version.py")


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 9), (3, 15, 0)])
def test_a_wrong_python_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit, match=rf"^expected .* found {version[0]}\.{version[1]}; .* run make again$"):
        runpy.run_path(SCRIPT, run_name="__main__")


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 2)])
def test_a_supported_python_passes(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    runpy.run_path(SCRIPT, run_name="__main__")
