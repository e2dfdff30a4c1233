"""What a role is made of, put together once from its settings."""

import asyncio
from dataclasses import dataclass

import httpx

from rag import store
from rag.answering import Answerer, Extractive, OllamaAnswerer
from rag.breakers import Breakers, make_breakers
from rag.embedding import Embedding, LocalModel, Model, OllamaModel
from rag.metrics import Metrics
from rag.minilm import MiniLM, WordPieces
from rag.settings import EmbedderKind, Settings
from rag.store import Store
from rag.traces import Traces, make_traces


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts that roles share."""

    settings: Settings
    metrics: Metrics
    breakers: Breakers
    store: Store
    pieces: WordPieces
    embedding: Embedding
    http: httpx.AsyncClient
    traces: Traces

    async def close(self) -> None:
        """Close every connection."""
        await self.http.aclose()
        await self.store.close()
        await asyncio.to_thread(self.traces.close)  # it may wait for the collector

    def embedder(self, kind: EmbedderKind) -> Embedding:
        """Return this role's own embedding, or that of another model, for a collection that is yet to be served."""
        if kind == self.settings.embedder:
            return self.embedding
        return Embedding(make_model(kind, self.settings, self.http, self.pieces), self.breakers.embedding)

    def answerer(self) -> Answerer:
        """Return what answers questions, as configured."""
        settings = self.settings
        if settings.llm == "extractive":
            return Extractive(self.embedding)
        timeout = settings.llm_timeout_seconds
        return OllamaAnswerer(self.http, settings.ollama_url, settings.ollama_model, timeout, self.breakers.llm)


def make_model(kind: EmbedderKind, settings: Settings, http: httpx.AsyncClient, pieces: WordPieces) -> Model:
    """Return a model of that kind, as configured."""
    if kind == "ollama":
        return OllamaModel(http, settings.ollama_url, settings.ollama_embed_model)
    return LocalModel(pieces, MiniLM())


def assemble(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Service:
    """Build a service; `transport` stands for the network in tests."""
    metrics = Metrics()
    breakers = make_breakers(settings.breaker_failures, settings.breaker_open_seconds, metrics)
    http = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(10, connect=2), trust_env=False)
    pieces = WordPieces()  # whatever makes the vectors, passages are measured in its tokens
    model = make_model(settings.embedder, settings, http, pieces)
    return Service(
        settings=settings,
        metrics=metrics,
        breakers=breakers,
        store=Store(store.connect(settings, transport), settings.collection, breakers.qdrant),
        pieces=pieces,
        embedding=Embedding(model, breakers.embedding),
        http=http,
        traces=make_traces(settings.role, settings.traces_url),
    )
