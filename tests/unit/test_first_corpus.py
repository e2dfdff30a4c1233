"""The first corpus is indexed once, and to its end, however often it takes."""

from pathlib import Path
from typing import Any

import pytest

from cli import __main__ as commands
from ops import corpus
from ops.ingest import Tally
from ops.stack import OperatorError
from tests.unit.served import Answer, served


class Indexed:
    """A stack that counts how often it was indexed, and may be cut off at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, self.points, self.cut_off = 0, 0, False
        monkeypatch.setattr(corpus, "standard_library", list)
        monkeypatch.setattr(commands, "_index", self._index)
        monkeypatch.setattr(commands, "_index_is_empty", lambda _: not self.points)

    def _index(self, *_: Any) -> Tally:
        self.times, self.points = self.times + 1, 64
        if self.cut_off:
            raise KeyboardInterrupt
        return Tally()


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> Indexed:
    return Indexed(monkeypatch)


def test_an_empty_index_is_filled_once(indexed: Indexed, tmp_path: Path) -> None:
    for _ in range(2):
        commands._index_corpus({}, tmp_path / "indexing")
    assert indexed.times == 1


def test_indexing_that_was_cut_off_is_done_again(indexed: Indexed, tmp_path: Path) -> None:
    indexed.cut_off = True
    with pytest.raises(KeyboardInterrupt):
        commands._index_corpus({}, tmp_path / "indexing")
    indexed.cut_off = False
    for _ in range(2):
        commands._index_corpus({}, tmp_path / "indexing")
    assert indexed.times == 2


def test_a_qdrant_that_does_not_answer_is_said_in_plain_words() -> None:
    with served(lambda _: Answer(503, {"status": {"error": "no node left"}})) as url:
        found = {"qdrantUrl": url, "qdrantApiKey": "key", "collection": "docs"}
        with pytest.raises(OperatorError, match="found HTTP 503: no node left; see make status"):
            commands._index_is_empty(found)
    with pytest.raises(OperatorError, match="does not answer"):
        commands._index_is_empty(found)
