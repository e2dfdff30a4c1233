"""Points move to a collection of another vector size with everything but their vectors as it was."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from network import Network
from qdrant_client import models
from rag.indexing import Chunk
from rag.service import Service

pytestmark = pytest.mark.anyio
PAYLOAD = {"source": "one.md", "title": "One", "text": "Tea is made of leaves.", "chunk": 0, "digest": "d", "own": 7}


@pytest.fixture
async def made(assemble: Callable[..., Service], with_collection: Any) -> Service:
    """The ingest role with a source of 384 dimensions, and a target of 8."""
    service: Service = await with_collection(assemble(role="ingest"))
    await memory(service).create_collection("wide", models.VectorParams(size=8, distance=models.Distance.DOT))
    await write(service, {1: PAYLOAD, 2: PAYLOAD | {"text": "Coffee is made of beans."}})
    return service


def memory(service: Service) -> Any:
    return service.store._client


async def write(service: Service, payloads: dict[int, dict[str, Any]]) -> None:
    points = [models.PointStruct(id=each, vector=[0.1] * 384, payload=payload) for each, payload in payloads.items()]
    await memory(service).upsert(service.settings.collection, points)


def ollama(network: Network) -> None:
    """Vectors of eight dimensions, each the length of the text."""

    def answer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        return httpx.Response(200, json={"embeddings": [[float(len(text))] * 8 for text in texts]})

    network.answers["ollama"] = answer


def asked(service: Service, **changes: Any) -> dict[str, Any]:
    return {"source": service.settings.collection, "target": "wide", "ids": [1, 2, 3], "embedder": "ollama"} | changes


async def test_an_embedder_reports_how_many_dimensions_it_makes(
    made: Service, client: Callable[..., httpx.AsyncClient], network: Network
) -> None:
    ollama(network)
    for kind, size in (("minilm", 384), ("ollama", 8)):
        answer = await client(made).get(f"/embedders/{kind}")
        assert (answer.status_code, answer.json()["vector_size"]) == (200, size)
    assert (await client(made).get("/embedders/unheard-of")).status_code == 422


async def test_points_get_vectors_of_another_model_and_keep_all_else(
    made: Service, client: Callable[..., httpx.AsyncClient], network: Network
) -> None:
    ollama(network)
    answer = await client(made).post("/reembed", json=asked(made))
    assert (answer.status_code, answer.json()) == (200, {"points": 2})
    first, second = await memory(made).retrieve("wide", [1, 2], with_vectors=True)
    assert first.vector == [float(len("One\nTea is made of leaves."))] * 8
    assert {**first.payload, "digest": "d"} == PAYLOAD
    assert first.payload["digest"] != second.payload["digest"] != "d"


async def test_the_same_model_and_text_get_the_digest_that_indexing_gives(
    made: Service, client: Callable[..., httpx.AsyncClient]
) -> None:
    size = models.VectorParams(size=384, distance=models.Distance.COSINE)
    await memory(made).create_collection("again", size)
    await client(made).post("/reembed", json=asked(made, target="again", embedder="minilm"))
    await client(made).post("/reembed", json=asked(made, source="again", target="again", embedder="minilm"))
    [once, _] = await memory(made).retrieve("again", [1, 2])
    assert once.payload["digest"] == Chunk("one.md", "One", 0, PAYLOAD["text"]).digest(made.embedding.model_name)


async def test_a_point_without_words_is_refused_and_nothing_is_written(
    made: Service, client: Callable[..., httpx.AsyncClient], network: Network
) -> None:
    ollama(network)
    await write(made, {3: {"source": "pictures"}})
    answer = await client(made).post("/reembed", json=asked(made))
    assert answer.status_code == 422
    assert "expected points with a text, found 3 without" in answer.json()["message"]
    assert (await memory(made).count("wide")).count == 0


async def test_a_model_that_is_away_is_a_503(made: Service, client: Callable[..., httpx.AsyncClient]) -> None:
    answer = await client(made).post("/reembed", json=asked(made))
    assert (answer.status_code, answer.json()["error"]) == (503, "embedding_unavailable")


@pytest.mark.parametrize("role", ["api", "query"])
async def test_only_the_role_that_writes_has_it(
    role: str, assemble: Callable[..., Service], client: Callable[..., httpx.AsyncClient]
) -> None:
    made = assemble(role=role)
    assert (await client(made).post("/reembed", json=asked(made))).status_code == 404
