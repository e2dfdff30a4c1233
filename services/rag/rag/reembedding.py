"""Points into another collection, with vectors of another model made from the text in their payload."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import models
from starlette.exceptions import HTTPException

from rag.contract import Embedder
from rag.embedding import Embedding, Vector
from rag.indexing import Chunk
from rag.store import Store


async def try_out(embedding: Embedding) -> Embedder:
    """Return what the model makes of a word."""
    [vector] = await embedding.of_texts(["word"])
    return Embedder(model=embedding.model_name, vector_size=len(vector))


async def reembed(source: Store, target: Store, ids: Sequence[int | str], embedding: Embedding) -> int:
    """Return how many points were written and acknowledged; ids that the source has not are passed over."""
    payloads = await source.payloads(ids)
    chunks = {point: _chunk(point, payload) for point, payload in payloads.items()}
    vectors = await embedding.of_texts([chunk.read for chunk in chunks.values()])
    if chunks:
        model = embedding.model_name
        made = zip(chunks.items(), vectors, strict=True)
        await target.write([_point(point, chunk, vector, payloads[point], model) for (point, chunk), vector in made])
    return len(chunks)


def _chunk(point: int | str, payload: dict[str, Any]) -> Chunk:
    if not isinstance(text := payload.get("text"), str):
        raise HTTPException(422, f"expected points with a text, found {point} without; re-index its source instead")
    return Chunk(str(payload.get("source", "")), str(payload.get("title", "")), int(payload.get("chunk", 0)), text)


def _point(point: int | str, chunk: Chunk, vector: Vector, payload: dict[str, Any], model: str) -> models.PointStruct:
    """The digest names the model too: the next indexing must find the chunk unchanged."""
    return models.PointStruct(id=point, vector=vector, payload=payload | {"digest": chunk.digest(model)})
