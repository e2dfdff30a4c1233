"""A document of any format into its title and its sections; only this module knows formats."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

import yaml
from lxml import etree
from markdown_it import MarkdownIt

from rag.contract import Document

MAX_CHARACTERS = {"text": 4_000_000, "html": 4_000_000, "markdown": 500_000}  # of one document; keeps memory bounded
MAX_TITLE = 1024
MAX_HEADING = 120  # a longer line is text

DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*,[^\s\"')>\]]*")
EMPTY_DATA_URI = "data:image/png;base64,"  # what the parsers see: CommonMark takes it for an image, and drops it
FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\n(.{0,65536}?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
HEADING = re.compile(r"^(?:#{1,6}[ \t]+\S.{0,120}|\S.{0,120}\n(?:={3,}|-{3,}|~{3,}|\^{3,})[ \t]*)$", re.MULTILINE)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
LINES = frozenset(("br", "caption", "dd", "dt", "li", "option", "summary", "tr"))
PARAGRAPHS = {
    *HEADINGS, "address", "article", "aside", "blockquote", "body", "details", "dialog", "div", "dl", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hr", "html", "main", "nav", "ol", "p", "pre", "section",
    "table", "ul",
}  # fmt: skip
CELLS = ("td", "th")
DROPPED = frozenset(("script", "style", "template"))


class Unreadable(Exception):
    """A document cannot be indexed; the message names what was expected, what was found, and what to do."""


class Section(NamedTuple):
    """A heading, and the text below it; text without a heading has an empty one."""

    heading: str
    body: str


class Reading(NamedTuple):
    """The title and the text of a document."""

    title: str
    sections: list[Section]


def read(document: Document) -> Reading:
    """Parse a document by its format; raise `Unreadable`."""
    check_characters(document.source, document.title, document.text)
    text = DATA_URI.sub(EMPTY_DATA_URI, document.text)
    most = MAX_CHARACTERS[document.format]
    if len(text) > most:
        found = f"found {len(text):,}; split the document"
        raise Unreadable(f"expected at most {most:,} characters of {document.format}, {found}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        title, sections = PARSERS[document.format](text)
    except RecursionError:
        raise Unreadable(f"expected {document.format}, found elements nested too deep; flatten it") from None
    name = "" if document.format == "text" else PurePosixPath(document.source).stem
    title = document.title or " ".join(title.split())[:MAX_TITLE] or name
    bare = [each for heading, body in sections for each in _section(heading, DATA_URI.sub("", body).strip("\n"))]
    check_characters(title, *(part for section in bare for part in section))  # an escape can stand for anything
    return Reading(title, bare)


def check_characters(*texts: str) -> None:
    """Raise `Unreadable` where a text holds what UTF-8 or Qdrant cannot."""
    if any("\0" in text for text in texts):
        raise Unreadable("expected text, found NUL bytes; convert it to plain text")
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        raise Unreadable("expected Unicode text, found half a surrogate pair; decode it as what it is") from None


def parse_text(text: str) -> Reading:
    """Read plain text, whose headings are lines `# …` or underlined."""
    return Reading("", list(_text_sections(text)))


def _text_sections(text: str) -> Iterator[Section]:
    start, heading = 0, ""
    for found in HEADING.finditer(text):
        yield from _section(heading, text[start : found.start()].strip())
        start, heading = found.end(), found[0].strip()
    yield from _section(heading, text[start:].strip())


def _section(heading: str, body: str) -> Iterator[Section]:
    """A heading with nothing below it is text itself."""
    if heading or body.strip():
        yield Section(heading, f"{body}\n\n") if body.strip() else Section("", f"{heading}\n\n")


def parse_markdown(text: str) -> Reading:
    """Read CommonMark with tables and YAML front matter, whose `title` is the title."""
    title, text = _front_matter(text)
    # maxNesting: deeper elements would be dropped in silence; without a limit the stack ends first, and is reported.
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 10_000}).enable("table")
    return Reading(title, parse_html(parser.render(text)).sections)


def _front_matter(text: str) -> tuple[str, str]:
    """Return the title in the front matter, and the text below it; what is no mapping in YAML is text."""
    if found := FRONT_MATTER.match(text):
        try:
            fields = yaml.safe_load(found[1] or "")
        except (yaml.YAMLError, ValueError):  # ValueError: a date that does not exist
            return "", text
        if fields is None or isinstance(fields, dict):
            title = (fields or {}).get("title")
            return str(title) if isinstance(title, str | int | float) else "", text[found.end() :]
    return "", text


def parse_html(text: str) -> Reading:
    """Read HTML as a browser shows it: inline elements do not break a line, `<pre>` keeps its blanks."""
    # Events and no tree: memory stays in proportion to the text. huge_tree: neither depth nor length is cut off.
    parser = etree.HTMLParser(target=_HtmlText(), huge_tree=True)
    if text.strip():
        parser.feed(text)
        reading: Reading = parser.close()
        return reading
    return Reading("", [])


class _HtmlText:
    """Receives the parser's events."""

    def __init__(self) -> None:
        self._title: list[str] = []
        self._sections: list[Section] = []
        self._heading = ""
        self._body: list[str] = []
        self._line: list[str] = []  # the inline text since the last break
        self._in_row = False  # a cell ended on this line
        self._marker = ""
        self._gap = 0  # newlines before the next text
        self._depth = dict.fromkeys(("pre", "title", *DROPPED), 0)

    def start(self, tag: str, _attributes: object) -> None:
        if tag in CELLS and self._in_row:
            self._line.append(" | ")
        self._break_at(tag)
        if tag == "li":
            self._marker = "- "
        if tag in self._depth:
            self._depth[tag] += 1

    def end(self, tag: str) -> None:
        if tag in HEADINGS:
            self._end_heading("#" * HEADINGS[tag])
        self._break_at(tag)
        self._in_row = self._in_row or tag in CELLS
        if tag in self._depth:
            self._depth[tag] -= 1

    def data(self, text: str) -> None:
        if self._depth["title"]:
            self._title.append(text)
        elif not any(self._depth[tag] for tag in DROPPED):
            self._line.append(text if self._depth["pre"] else text.replace("\n", " "))

    def close(self) -> Reading:
        self._break(0)
        self._end_section()
        return Reading("".join(self._title), self._sections)

    def _break_at(self, tag: str) -> None:
        if tag in PARAGRAPHS:
            self._break(2)
        elif tag in LINES:
            self._break(1)

    def _break(self, newlines: int) -> None:
        """End the line; at least so many newlines stand before the next."""
        text = "".join(self._line)
        text = text.strip("\n").rstrip() if self._depth["pre"] else " ".join(text.split())
        self._line.clear()
        self._in_row = False
        if text:
            self._body.append("\n" * self._gap + self._marker + text)
            self._gap, self._marker = 0, ""
        self._gap = max(self._gap, newlines)

    def _end_heading(self, marks: str) -> None:
        text = " ".join("".join(self._line).split())
        if text and len(text) <= MAX_HEADING:
            self._line.clear()
            self._end_section()
            self._heading = f"{marks} {text}"

    def _end_section(self) -> None:
        self._sections += _section(self._heading, "".join(self._body).strip("\n"))
        self._heading, self._body, self._gap = "", [], 0


PARSERS = {"text": parse_text, "markdown": parse_markdown, "html": parse_html}
