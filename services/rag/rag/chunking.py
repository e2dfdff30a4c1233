"""Documents into passages of about 200 tokens that begin and end where the text does."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

TARGET_TOKENS = 200  # the model reads 256, title and frame included
SMALL_TOKENS = 60  # a section below this is joined by the next one
OVERLAP_TOKENS = 30

HEADING = re.compile(r"^(?:#{1,6}[ \t]+\S.{0,120}|\S.{0,120}\n(?:={3,}|-{3,}|~{3,}|\^{3,})[ \t]*)$", re.MULTILINE)
SENTENCES = re.compile(r".+?(?:[.!?]\s+|\n|\Z)", re.DOTALL)
SPLITS = (
    re.compile(r".+?(?:\n\s*\n|\Z)", re.DOTALL),  # paragraphs
    SENTENCES,
    re.compile(r"\s*\S{1,80}|\s+\Z"),  # words, and pieces of what is too long to be one
)

Count = Callable[[Sequence[str]], list[int]]


class Piece(NamedTuple):
    """A part that is kept whole, with the blanks after it."""

    text: str
    tokens: int


def passages(text: str, count: Count) -> list[str]:
    """Cut a text; a passage repeats its section's heading and, within a section, the last sentence before it."""
    packer = _Packer(count)
    for heading, body in sections(text):
        packer.open_section(heading)
        for piece in pieces(body, count):
            packer.add(piece)
    return packer.finish()


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield each heading with the text below it; a heading with nothing below it is text itself."""
    start, heading = 0, ""
    for found in HEADING.finditer(text):
        yield from _section(heading, text[start : found.start()].strip())
        start, heading = found.end(), found[0].strip()
    yield from _section(heading, text[start:].strip())


def _section(heading: str, body: str) -> Iterator[tuple[str, str]]:
    if heading or body:
        yield (heading, f"{body}\n\n") if body else ("", f"{heading}\n\n")


def pieces(text: str, count: Count, level: int = 0) -> Iterator[Piece]:
    """Yield paragraphs; sentences or words of those that are too long."""
    parts = SPLITS[level].findall(text)
    for part, tokens in zip(parts, count(parts), strict=True):
        if tokens <= TARGET_TOKENS or level + 1 == len(SPLITS):
            yield Piece(part, tokens)
        else:
            yield from pieces(part, count, level + 1)


class _Packer:
    """Fills passages piece by piece."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._made: list[str] = []
        self._heading: list[Piece] = []
        self._parts: list[Piece] = []
        self._fresh = False  # something is in that no passage holds yet

    def open_section(self, heading: str) -> None:
        self._heading = self._pieces(f"{heading}\n\n") if heading else []
        if self._size() < SMALL_TOKENS:
            self._parts += self._heading
        else:
            self._close(self._heading)

    def add(self, piece: Piece) -> None:
        if self._fresh and self._size() + piece.tokens > TARGET_TOKENS:
            self._close(self._heading + self._overlap())
        self._parts.append(piece)
        self._fresh = True

    def finish(self) -> list[str]:
        self._close([])
        return self._made

    def _size(self) -> int:
        return sum(part.tokens for part in self._parts)

    def _close(self, begin: list[Piece]) -> None:
        if self._fresh:
            self._made.append("".join(part.text for part in self._parts).strip())
        self._parts, self._fresh = list(begin), False

    def _overlap(self) -> list[Piece]:
        last = self._pieces(SENTENCES.findall(self._parts[-1].text)[-1])
        return [piece for piece in last if piece.tokens <= OVERLAP_TOKENS]

    def _pieces(self, text: str) -> list[Piece]:
        return [Piece(text, self._count([text])[0])]
