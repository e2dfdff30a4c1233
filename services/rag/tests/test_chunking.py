"""Passages are small enough for the model, lose nothing, and begin where the text does."""

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rag.chunking import MAX_CHARACTERS, OVERLAP_TOKENS, TARGET_TOKENS
from rag.chunking import passages as cut
from rag.minilm import MAX_TOKENS, WordPieces
from rag.reading import Section, parse_text

COUNT = WordPieces().count
SENTENCE = "The quick brown fox number {} jumps over the lazy dog, and nobody knows why it did. "
TEXT = st.lists(st.sampled_from(["# Title\n", "word ", "end. ", "\n\n", "x" * 500, "日本語", "Head\n====\n", "a\tb"]))


def passages(text: str, count: Callable[[Sequence[str]], list[int]]) -> list[str]:
    return cut(parse_text(text).sections, count)


def story(sentences: int) -> str:
    return "".join(SENTENCE.format(number) for number in range(sentences))


@settings(max_examples=60, deadline=None)
@given(TEXT.map("".join))
def test_every_passage_fits_the_model_and_no_word_is_lost(text: str) -> None:
    made = passages(text, COUNT)
    assert all(tokens < MAX_TOKENS - 2 for tokens in COUNT(made))
    kept = "".join("".join(made).split())
    assert all(word[:80] in kept for word in text.split())


def test_a_long_text_is_cut_at_sentences_and_passages_overlap_by_one() -> None:
    made = passages(story(60), COUNT)
    assert len(made) > 3
    for before, after in pairwise(made):
        last = before.rpartition(". ")[2]
        assert after.startswith(last)
        assert COUNT([last])[0] <= OVERLAP_TOKENS
    assert all(TARGET_TOKENS / 2 < tokens <= TARGET_TOKENS for tokens in COUNT(made[:-1]))


def test_a_passage_begins_with_the_heading_of_its_section() -> None:
    made = passages(f"# Foxes\n\n{story(16)}\n\nDogs\n----\n{story(16)}", COUNT)
    starts = [passage.split("\n")[0] for passage in made]
    assert set(starts) == {"# Foxes", "Dogs"}
    assert not any("# Foxes" in passage and "Dogs" in passage for passage in made)


def test_small_sections_share_a_passage() -> None:
    assert passages("# One\nFirst.\n# Two\nSecond.", COUNT) == ["# One\n\nFirst.\n\n# Two\n\nSecond."]


def test_a_heading_with_nothing_below_is_text() -> None:
    assert parse_text("# One\n# Two\n\nText").sections == [
        Section("", "# One\n\n"),
        Section("# Two", "Text\n\n"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "A" * 220_000,
        "€" * 220_000,
        f"a{' ' * 20_000}b",
        "\u200b\n\n" * 5000,
        "日" * 5000,
        f"{'日' * 110}\n====\n{'日' * 500}",
    ],
)
def test_a_passage_is_bounded_in_characters_and_in_tokens(text: str) -> None:
    made = passages(text, COUNT)
    assert all(len(passage) <= MAX_CHARACTERS for passage in made)
    assert all(tokens < MAX_TOKENS - 2 for tokens in COUNT(made))
    kept = "".join("".join(made).split())
    assert len(kept) >= len("".join(text.split()))


def calls(work: Callable[[], object]) -> int:
    """How many functions and generators of Python were entered."""
    entered = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal entered
        entered += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return entered


@pytest.mark.parametrize(
    "unit", ["\u200b\n\n", SENTENCE, "# Heading\n\n", "# Heading\n\nText.\n\n", "A" * 50, "a \n \n"]
)
def test_work_grows_with_the_length_of_a_document_and_not_faster(unit: str) -> None:
    counted: list[int] = []

    def counting(texts: Sequence[str]) -> list[int]:
        counted.append(sum(map(len, texts)))
        return [0 if text.isspace() or "\u200b" in text else 1 + len(text) // 4 for text in texts]

    once, characters = calls(lambda: passages(unit * 500, counting)), sum(counted)
    counted.clear()
    assert calls(lambda: passages(unit * 2000, counting)) < 4.4 * once
    assert sum(counted) < 4.4 * characters


def test_the_indentation_of_a_first_line_is_kept() -> None:
    assert cut([Section("", "\n\n    indented\n  less\n\n")], COUNT) == ["    indented\n  less"]


@pytest.mark.parametrize("text", ["", "  \n\n \t "])
def test_a_blank_text_has_no_passages(text: str) -> None:
    assert passages(text, COUNT) == []
