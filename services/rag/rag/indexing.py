"""Documents into the collection: cut, embedded, written, acknowledged; the same again changes nothing."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from qdrant_client import models
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_exponential_jitter
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from rag.chunking import Count, passages
from rag.contract import Document, Progress, Skipped
from rag.embedding import Embedding
from rag.failures import Refused, Unavailable
from rag.metrics import Metrics
from rag.store import Store

BATCH = 64  # chunks in one write, about half a megabyte

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Chunk:
    """One passage of a document; its id follows from where it stands, so that writing it again replaces it."""

    source: str
    title: str
    number: int
    text: str

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.number}:{self.source}"))

    @property
    def read(self) -> str:
        """What the model reads: a passage says more under its title."""
        return f"{self.title}\n{self.text}" if self.title else self.text

    def digest(self, model: str) -> str:
        """A short name for what would be stored."""
        return hashlib.blake2b(f"{model}\0{self.title}\0{self.text}".encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Patience:
    """How long, and with what pauses, a passing failure is waited out."""

    wait: wait_base
    stop: stop_base


# A node may be replaced, or a breaker be open, in the middle of a job.
UNTIL_REPLACED = Patience(wait_exponential_jitter(multiplier=0.5, max=10), stop_after_delay(120))


class Indexer:
    """Indexes documents; may be interrupted anywhere and repeated."""

    def __init__(
        self, store: Store, embedding: Embedding, count: Count, metrics: Metrics, patience: Patience = UNTIL_REPLACED
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._count = count
        self._metrics = metrics
        self._patience = patience

    async def index(self, documents: Sequence[Document], progress: Progress) -> None:
        """Index what can be read and name the rest; raise `Unavailable` when patience ends."""
        began = time.monotonic()
        await self._surely(self._store.prepare)
        group: list[list[Chunk]] = []
        for document in self._readable(documents, progress):
            if chunks := await asyncio.to_thread(self._cut, document):
                group.append(chunks)
            if sum(map(len, group)) >= BATCH:
                await self._store_group(group, progress)
                group = []
            progress.seconds = round(time.monotonic() - began, 2)
        await self._store_group(group, progress)
        progress.seconds = round(time.monotonic() - began, 2)

    def _readable(self, documents: Sequence[Document], progress: Progress) -> Iterator[Document]:
        seen: set[str] = set()
        for document in documents:
            reason = "expected a source once, found it again; the first is indexed" if document.source in seen else None
            seen.add(document.source)
            if reason := reason or unreadable(document):
                progress.skipped.append(Skipped(source=document.source, reason=reason))
                self._metrics.documents.labels("skipped").inc()
            else:
                yield document

    def _cut(self, document: Document) -> list[Chunk]:
        texts = passages(document.text, self._count)
        return [Chunk(document.source, document.title, number, text) for number, text in enumerate(texts)]

    async def _store_group(self, group: Sequence[list[Chunk]], progress: Progress) -> None:
        """Store documents, then drop what their sources had beyond them: never less is found than before."""
        chunks = [chunk for document in group for chunk in document]
        for start in range(0, len(chunks), BATCH):
            await self._store_chunks(chunks[start : start + BATCH], progress)
        if group:
            await self._surely(self._store.drop_stale, {document[0].source: len(document) for document in group})
        progress.documents_done += len(group)
        self._metrics.documents.labels("indexed").inc(len(group))

    async def _store_chunks(self, chunks: Sequence[Chunk], progress: Progress) -> None:
        model = self._embedding.model_name
        stored = await self._surely(self._store.digests, [chunk.id for chunk in chunks])
        fresh = [chunk for chunk in chunks if stored.get(chunk.id) != chunk.digest(model)]
        if fresh:
            vectors = await self._surely(self._embedding.of_texts, [chunk.read for chunk in fresh])
            await self._surely(self._store.write, [_point(*each, model) for each in zip(fresh, vectors, strict=True)])
        unchanged = len(chunks) - len(fresh)
        progress.chunks_done += len(chunks)
        progress.chunks_unchanged += unchanged
        self._metrics.chunks.labels("written").inc(len(fresh))
        self._metrics.chunks.labels("unchanged").inc(unchanged)

    async def _surely(self, step: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Repeat a step until it is acknowledged; each may be repeated, for ids and filters say the same again."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Unavailable) and not isinstance(error, Refused)),
            wait=self._patience.wait,
            stop=self._patience.stop,
            before_sleep=self._count_retry,
            reraise=True,
        )
        return await retrying(step, *args, **kwargs)

    def _count_retry(self, _state: RetryCallState) -> None:
        self._metrics.write_retries.inc()


def unreadable(document: Document) -> str | None:
    """Return why a document cannot be indexed, if so."""
    if not document.text.strip():
        return "expected text, found none"
    if "\0" in document.source + document.title + document.text:
        return "expected text, found NUL bytes; convert it to plain text"
    try:
        f"{document.source}{document.title}{document.text}".encode()
    except UnicodeEncodeError:
        return "expected Unicode text, found half a surrogate pair; decode it as what it is"
    return None


def _point(chunk: Chunk, vector: list[float], model: str) -> models.PointStruct:
    payload = {"source": chunk.source, "title": chunk.title, "text": chunk.text, "chunk": chunk.number}
    return models.PointStruct(id=chunk.id, vector=vector, payload=payload | {"digest": chunk.digest(model)})
