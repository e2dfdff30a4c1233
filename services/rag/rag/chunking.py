"""Sections into passages of about 200 tokens that begin and end where the text does."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from rag.reading import Section

TARGET_TOKENS = 200  # the model reads 256, title and frame included
MAX_TOKENS = 250  # with the heading and the overlap before the first piece
SMALL_TOKENS = 60  # a section below this is joined by the next one
HEADING_TOKENS = MAX_TOKENS - TARGET_TOKENS  # a longer heading is text, and not repeated
OVERLAP_TOKENS = 30
TARGET_CHARACTERS = 2000  # a long string without blanks counts as one token
MAX_CHARACTERS = 2500
OVERLAP_CHARACTERS = 300
COUNTED_AT_ONCE = 256  # the tokenizer holds a kilobyte for each

SENTENCES = re.compile(r".+?(?:[.!?]\s+|\n|\Z)", re.DOTALL)
SPLITS = (
    re.compile(r".+?(?:\n\s*\n|\Z)", re.DOTALL),  # paragraphs
    SENTENCES,
    re.compile(r"\s{0,80}\S{1,80}|\s{1,80}"),  # words, and pieces of what is too long to be one
)
LEADING = re.compile(r"\A(?:\s*\n|[ ](?=\S))+")  # not the indentation of a first line

Count = Callable[[Sequence[str]], list[int]]


class Piece(NamedTuple):
    """A part that is kept whole, with the blanks after it."""

    text: str
    tokens: int


def passages(sections: Iterable[Section], count: Count) -> list[str]:
    """Cut sections; a passage repeats its section's heading and, within a section, the last sentence before it."""
    packer = _Packer(count)
    for heading, body in sections:
        packer.open_section(heading)
        for piece in pieces(body, count):
            packer.add(piece)
    return packer.finish()


def pieces(text: str, count: Count, level: int = 0) -> Iterator[Piece]:
    """Yield paragraphs; sentences or words of those that are too long."""
    parts = (found[0] for found in SPLITS[level].finditer(text))
    while some := list(islice(parts, COUNTED_AT_ONCE)):
        counted = count([part[:TARGET_CHARACTERS] for part in some])  # a longer one is split, whatever it counts
        for part, tokens in zip(some, counted, strict=True):
            if (tokens <= TARGET_TOKENS and len(part) <= TARGET_CHARACTERS) or level + 1 == len(SPLITS):
                yield Piece(part, tokens)
            else:
                yield from pieces(part, count, level + 1)


class _Packer:
    """Fills passages piece by piece."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._made: list[str] = []
        self._fresh = False  # something is in that no passage holds yet
        self._heading: list[Piece] = []
        self._begin([])

    def open_section(self, heading: str) -> None:
        self._heading = self._pieces(f"{heading}\n\n") if heading else []
        too_long = [piece for piece in self._heading if piece.tokens > HEADING_TOKENS]
        if too_long:
            self._heading = []
        if self._tokens >= SMALL_TOKENS:
            self._close(self._heading)
        else:
            for piece in self._heading:
                self._append(piece)
        for piece in too_long:
            self.add(piece)

    def add(self, piece: Piece) -> None:
        if self._fresh and not self._fits(piece, TARGET_TOKENS, TARGET_CHARACTERS):
            self._close(self._heading + self._overlap())
            if not self._fits(piece, MAX_TOKENS, MAX_CHARACTERS):
                self._begin(self._heading)
        self._append(piece)
        self._fresh = True

    def finish(self) -> list[str]:
        self._close([])
        return self._made

    def _fits(self, piece: Piece, tokens: int, characters: int) -> bool:
        return self._tokens + piece.tokens <= tokens and self._characters + len(piece.text) <= characters

    def _begin(self, pieces: Iterable[Piece]) -> None:
        self._parts: list[Piece] = []
        self._tokens = self._characters = 0
        self._fresh = False
        for piece in pieces:
            self._append(piece)

    def _append(self, piece: Piece) -> None:
        self._parts.append(piece)
        self._tokens += piece.tokens
        self._characters += len(piece.text)

    def _close(self, begin: list[Piece]) -> None:
        text = LEADING.sub("", "".join(part.text for part in self._parts)).rstrip()
        if self._fresh and text:
            self._made.append(text)
        self._begin(begin)

    def _overlap(self) -> list[Piece]:
        last = self._pieces(SENTENCES.findall(self._parts[-1].text)[-1])
        return [piece for piece in last if piece.tokens <= OVERLAP_TOKENS and len(piece.text) <= OVERLAP_CHARACTERS]

    def _pieces(self, text: str) -> list[Piece]:
        return [Piece(text, self._count([text])[0])]
