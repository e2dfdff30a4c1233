"""Texts into vectors: beside the event loop, behind the `embedding` breaker, and not twice for the same query."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpx

from rag.breakers import Breaker
from rag.failures import http_failures
from rag.minilm import MiniLM, WordPieces
from rag.traces import step

Vector = list[float]

BATCH_TOKENS = 1024  # what one core computes at a time: more gains nothing
REMEMBERED_QUERIES = 1024


class Model(Protocol):
    """Something that makes vectors; texts that are alike get vectors that are near."""

    name: str

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector for each text, in order."""


class LocalModel:
    """MiniLM on the cores of this machine; a batch for each, of texts of similar length."""

    name = "all-MiniLM-L6-v2"

    def __init__(self, pieces: WordPieces, network: MiniLM) -> None:
        self._pieces = pieces
        self._network = network
        self._cores = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="embedding")

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors; the event loop goes on meanwhile."""
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._cores, self._pieces.tokens, texts)
        batches = list(batches_by_length([len(text) for text in tokens]))
        work = [loop.run_in_executor(self._cores, self._compute, [tokens[i] for i in batch]) for batch in batches]
        vectors: list[Vector] = [[]] * len(texts)
        for batch, made in zip(batches, await asyncio.gather(*work), strict=True):
            for position, vector in zip(batch, made, strict=True):
                vectors[position] = vector
        return vectors

    def _compute(self, tokens: list[list[int]]) -> list[Vector]:
        made: list[Vector] = self._network.vectors(tokens).tolist()
        return made


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield positions, shortest text first, in batches of at most `BATCH_TOKENS` (or one text)."""
    batch: list[int] = []
    total = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and total + lengths[position] > BATCH_TOKENS:
            yield batch
            batch, total = [], 0
        batch.append(position)
        total += lengths[position]
    if batch:
        yield batch


class OllamaModel:
    """A model that an Ollama server runs."""

    def __init__(self, http: httpx.AsyncClient, url: str, name: str) -> None:
        self.name = name
        self._http = http
        self._url = f"{url.rstrip('/')}/api/embed"

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors; raise `Unavailable` when the server does not make them."""
        with http_failures("embedding"):
            answer = await self._http.post(self._url, json={"model": self.name, "input": list(texts)})
            vectors: list[Vector] = answer.raise_for_status().json()["embeddings"]
            if len(vectors) != len(texts):
                raise ValueError("one vector for each text")
            return vectors


class Embedding:
    """The model as the service uses it."""

    def __init__(self, model: Model, breaker: Breaker) -> None:
        self.model_name = model.name
        self._model = model
        self._breaker = breaker
        self._remembered: dict[str, Vector] = {}

    async def of_texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector for each text, in order."""
        with step("embed", {"rag.texts": len(texts), "rag.model": self.model_name}), self._breaker.guard():
            return await self._model.embed(texts)

    async def of_query(self, query: str) -> Vector:
        """Return the vector of a query, from memory if it was asked lately."""
        if query not in self._remembered:
            [vector] = await self.of_texts([query])
            if len(self._remembered) >= REMEMBERED_QUERIES:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[query] = vector
        return self._remembered[query]
