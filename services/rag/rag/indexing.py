"""Documents into the collection: parsed, cut, embedded, written, acknowledged; idempotent."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from qdrant_client import models
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_exponential_jitter
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from rag.chunking import Count, passages
from rag.contract import Progress, Skipped
from rag.embedding import Embedding
from rag.failures import Declined, Unavailable
from rag.metrics import Metrics
from rag.reading import Unreadable, read
from rag.sources import Entry, skip
from rag.store import Store

BATCH = 64  # chunks in one write, about half a megabyte

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Chunk:
    """One passage of a document; its id is derived from source and position, so that a second write replaces it."""

    source: str
    title: str
    number: int
    text: str

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.number}:{self.source}"))

    @property
    def read(self) -> str:
        """The text that is embedded: the passage below its title."""
        return f"{self.title}\n{self.text}" if self.title else self.text

    def digest(self, model: str) -> str:
        """A digest of what would be stored."""
        return hashlib.blake2b(f"{model}\0{self.title}\0{self.text}".encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class RetryPolicy:
    """How long, and with what pauses, a step is retried after a passing failure."""

    wait: wait_base
    stop: stop_base


# A node may be replaced, or a breaker be open, in the middle of a job.
UNTIL_REPLACED = RetryPolicy(wait_exponential_jitter(multiplier=0.5, max=10), stop_after_delay(120))


class Indexer:
    """Indexes documents; may be interrupted anywhere and repeated."""

    def __init__(
        self, store: Store, embedding: Embedding, count: Count, metrics: Metrics, retries: RetryPolicy = UNTIL_REPLACED
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._count = count
        self._metrics = metrics
        self._retries = retries

    async def index(self, entries: Iterable[Entry], progress: Progress) -> None:
        """Index what can be read and report the rest; raise `Unavailable` when the retries end, `Refused` at once."""
        began = time.monotonic()
        await self._with_retries(self._store.prepare)
        seen: set[str] = set()
        group: list[list[Chunk]] = []
        rest = iter(entries)
        while (entry := await asyncio.to_thread(next, rest, None)) is not None:
            found = await asyncio.to_thread(self._cut, entry, seen)
            if isinstance(found, Skipped):
                progress.skipped.append(found)
                self._metrics.documents.labels("skipped").inc()
            else:
                group.append(found)
            if sum(map(len, group)) >= BATCH:
                await self._store_group(group, progress)
                group = []
            progress.seconds = round(time.monotonic() - began, 2)
        await self._store_group(group, progress)
        progress.seconds = round(time.monotonic() - began, 2)

    def _cut(self, entry: Entry, seen: set[str]) -> list[Chunk] | Skipped:
        if isinstance(entry, Skipped):
            return entry
        if entry.source in seen:
            return skip(entry.source, "expected a source once, found it again; the first is indexed")
        seen.add(entry.source)
        try:
            reading = read(entry)
        except Unreadable as error:
            return skip(entry.source, str(error))
        texts = passages(reading.sections, self._count)
        made = [Chunk(entry.source, reading.title, number, text) for number, text in enumerate(texts)]
        return made or skip(entry.source, "expected text, found none; send what has words")

    async def _store_group(self, group: Sequence[list[Chunk]], progress: Progress) -> None:
        """Store documents, and only then drop what their sources had beyond them."""
        chunks = [chunk for document in group for chunk in document]
        for start in range(0, len(chunks), BATCH):
            await self._store_chunks(chunks[start : start + BATCH], progress)
        if group:
            await self._with_retries(self._store.drop_stale, {document[0].source: len(document) for document in group})
        progress.documents_done += len(group)
        self._metrics.documents.labels("indexed").inc(len(group))

    async def _store_chunks(self, chunks: Sequence[Chunk], progress: Progress) -> None:
        model = self._embedding.model_name
        stored = await self._with_retries(self._store.digests, [chunk.id for chunk in chunks])
        fresh = [chunk for chunk in chunks if stored.get(chunk.id) != chunk.digest(model)]
        if fresh:
            vectors = await self._with_retries(self._embedding.of_texts, [chunk.read for chunk in fresh])
            await self._with_retries(
                self._store.write, [_point(*each, model) for each in zip(fresh, vectors, strict=True)]
            )
        unchanged = len(chunks) - len(fresh)
        progress.chunks_done += len(chunks)
        progress.chunks_unchanged += unchanged
        self._metrics.chunks.labels("written").inc(len(fresh))
        self._metrics.chunks.labels("unchanged").inc(unchanged)

    async def _with_retries(self, step: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Repeat a step until it is acknowledged; all are idempotent."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Unavailable) and not isinstance(error, Declined)),
            wait=self._retries.wait,
            stop=self._retries.stop,
            before_sleep=self._count_retry,
            reraise=True,
        )
        return await retrying(step, *args, **kwargs)

    def _count_retry(self, _state: RetryCallState) -> None:
        self._metrics.write_retries.inc()


def _point(chunk: Chunk, vector: list[float], model: str) -> models.PointStruct:
    payload = {"source": chunk.source, "title": chunk.title, "text": chunk.text, "chunk": chunk.number}
    return models.PointStruct(id=chunk.id, vector=vector, payload=payload | {"digest": chunk.digest(model)})
