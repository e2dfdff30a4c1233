"""Passages are small enough for the model, lose nothing, and begin where the text does."""

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


@pytest.mark.parametrize("text", ["", "  \n\n \t "])
def test_a_blank_text_has_no_passages(text: str) -> None:
    assert passages(text, COUNT) == []
