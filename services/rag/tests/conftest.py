"""A role without a network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from network import TOKEN, Network
from qdrant_client import AsyncQdrantClient, models
from rag import breakers, service
from rag.app import create_app
from rag.embedding import LocalModel
from rag.minilm import MiniLM, WordPieces
from rag.service import Service
from rag.settings import Settings
from rag.store import Store


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a role, its secrets in files."""
    given = {"SERVICE_TOKEN": TOKEN, "QDRANT_API_KEY": "qdrant-key-of-the-tests"}
    for name, secret in given.items():
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    hosts = {"QDRANT_URL": "qdrant:6333", "QUERY_URL": "query:8000", "OLLAMA_URL": "ollama:11434"}
    for name, host in hosts.items():
        monkeypatch.setenv(name, f"http://{host}")
    return tmp_path


@pytest.fixture(scope="session")
def local_model() -> LocalModel:
    return LocalModel(WordPieces(), MiniLM())


@pytest.fixture
def assemble(
    environment: Path, network: Network, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Service]:
    """Put a role together on the network of the test; the model is loaded once."""
    monkeypatch.setattr(service, "LocalModel", lambda *_: local_model)
    monkeypatch.setattr(service, "MiniLM", lambda: None)

    def assembled(**settings: Any) -> Service:
        return service.assemble(Settings(**settings), httpx.MockTransport(network))

    return assembled


@pytest.fixture
def client() -> Callable[..., httpx.AsyncClient]:
    """A caller of a role, with the token unless headers are given."""

    def calling(made: Service, headers: Any = None) -> httpx.AsyncClient:
        given = {"X-Service-Token": TOKEN} if headers is None else headers
        transport = httpx.ASGITransport(create_app(made))
        return httpx.AsyncClient(transport=transport, base_url="http://role", headers=given)

    return calling


@pytest.fixture
async def with_collection(anyio_backend: str) -> Callable[[Service], Any]:
    """Give a service an empty collection in memory in place of the network's Qdrant."""

    async def given(made: Service) -> Service:
        memory = AsyncQdrantClient(":memory:")
        size = models.VectorParams(size=384, distance=models.Distance.COSINE)
        await memory.create_collection(made.settings.collection, vectors_config=size)
        return replace(made, store=Store(memory, made.settings.collection, made.breakers.qdrant))

    return given


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that breakers read; a test sets `clock.now`."""
    time = SimpleNamespace(now=1_000.0)
    time.time = lambda: time.now
    monkeypatch.setattr("purgatory.domain.model.time", time)
    monkeypatch.setattr(breakers, "time", time)
    return time
