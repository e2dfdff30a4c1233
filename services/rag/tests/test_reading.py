"""A document of each format is read by a parser of that format."""

import pytest
from rag import reading
from rag.contract import Document
from rag.reading import Reading, Section, Unreadable, read

MARKDOWN = """---
title: Kong, step by step
tags: [gateway]
---
Install it with `apt`, see **[the manual](https://example.org)**.

```bash
# not a heading
curl localhost   # nor this
```

Setext
======
- one
- two

| name | port |
|------|------|
| kong | 8000 |
"""


def read_as(kind: str, text: str, title: str = "") -> Reading:
    return read(Document.model_validate({"source": "s", "title": title, "text": text, "format": kind}))


def body(kind: str, text: str) -> str:
    return "".join(f"{heading}\n{below}" if heading else below for heading, below in read_as(kind, text).sections)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_markdown_has_its_headings_its_code_and_no_markup(newline: str) -> None:
    found = read_as("markdown", MARKDOWN.replace("\n", newline))
    assert found.title == "Kong, step by step"
    assert found.sections == [
        Section("", "Install it with apt, see the manual.\n\n# not a heading\ncurl localhost   # nor this\n\n"),
        Section("# Setext", "- one\n- two\n\nname | port\nkong | 8000\n\n"),
    ]


def test_a_given_title_goes_before_that_of_the_document() -> None:
    assert read_as("markdown", MARKDOWN, "Given").title == "Given"
    assert read_as("html", "<title>Its own</title>text", "Given").title == "Given"


@pytest.mark.parametrize(("kind", "title"), [("markdown", "guide"), ("html", "guide"), ("text", "")])
def test_a_document_without_a_title_has_its_source_s_name_where_a_parser_could_have_found_one(
    kind: str, title: str
) -> None:
    assert read(Document(source="docs/guide.md", text="Words.", format=kind)).title == title


@pytest.mark.parametrize(
    "text",
    ["---\n\nA rule and no front matter\n\n---\n", "---\nbroken: [\n---\ntext", "---\nday: 2026-99-99\n---\ntext"],
)
def test_what_is_no_front_matter_is_text(text: str) -> None:
    assert text.split("\n")[2 if "rule" in text else 1] in body("markdown", text)


def test_empty_front_matter_and_one_without_title_leave_no_text() -> None:
    assert body("markdown", "---\n---\ntext") == body("markdown", "---\ndraft: true\n---\ntext") == "text\n\n"
    assert read_as("markdown", "---\ntitle: [a]\n---\ntext").title == "s"  # its source's name


def test_images_and_data_uris_are_no_text() -> None:
    uri = "data:image/png;base64," + "A" * 220_000
    assert body("markdown", f"Before ![logo]({uri}) after\n\n<img src='{uri}'>\n\n[a]: {uri}\n") == "Before after\n\n"
    assert body("text", f"Before ({uri}) after") == "Before () after\n\n"


def test_inline_elements_do_not_break_a_line() -> None:
    assert body("html", "<p>Hello <b>x</b>, y <a href='/'>z</a>\n  and <code>w</code></p>") == "Hello x, y z and w\n\n"


def test_preformatted_text_keeps_its_blanks() -> None:
    assert body("html", "<p>a  b</p><pre>  def f():\n      return <b>1</b> &lt; 2\n\n# no heading\n</pre>") == (
        "a b\n\n  def f():\n      return 1 < 2\n\n# no heading\n\n"
    )


def test_html_has_a_title_headings_lists_and_tables_and_nothing_that_is_not_shown() -> None:
    page = """<!DOCTYPE html><html><head><meta charset="iso-8859-1"><title> Ü \n page</title><style>p {}</style></head>
    <body><script>var p = "<p>no</p>"</script><template>no</template><!-- no --><p>Intro<br>second line</p>
    <h2>The <em>first</em></h2><ul><li><p>one</p><li>two</ul><table><tr><th>a<th>b<tr><td>1<td>日本</table>
    <h3></h3><div>tail</body></html>"""
    found = read_as("html", page)
    assert found.title == "Ü page"
    assert found.sections == [
        Section("", "Intro\nsecond line\n\n"),
        Section("## The first", "- one\n\n- two\n\na | b\n1 | 日本\n\ntail\n\n"),
    ]


def test_a_heading_too_long_to_be_one_is_text() -> None:
    assert read_as("html", f"<h1>{'long ' * 30}</h1>below").sections == [
        Section("", f"{'long ' * 30}".strip() + "\n\nbelow\n\n")
    ]


def test_depth_and_length_cut_nothing_off() -> None:
    assert body("html", "<div>" * 5000 + "deep" + "</div>" * 5000) == "deep\n\n"
    assert len(body("html", f"<p>{'word ' * 300_000}</p>")) > 1_400_000


def test_underlined_headings_stay_with_crlf() -> None:
    text = "One\r\n===\r\nFirst.\r\n\r\nTwo\r\n---\r\nSecond."
    assert [heading for heading, _ in read_as("text", text).sections] == ["One\n===", "Two\n---"]


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("markdown", "> " * 3000 + "x", "nested too deep"),
        ("markdown", '---\ntitle: "a\\0b"\n---\ntext', "NUL"),
        ("markdown", '---\ntitle: "\\uD800"\n---\ntext', "surrogate"),
        ("text", "a\0b", "NUL"),
        ("html", "\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_read_is_reported(kind: str, text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_as(kind, text)


@pytest.mark.parametrize("kind", reading.MAX_CHARACTERS)
def test_a_document_is_bounded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reading.MAX_CHARACTERS, kind, 8)
    assert read_as(kind, "12345678").sections
    with pytest.raises(Unreadable, match=f"expected at most 8 characters of {kind}, found 9; split"):
        read_as(kind, "123456789")
