"""The collection in Qdrant: what is asked of it and written to it, behind the `qdrant` breaker."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import retry, retry_if_exception, stop_after_attempt

from rag.breakers import Breaker
from rag.contract import Collection, Passage
from rag.embedding import Vector
from rag.failures import LOST, Refused, Unavailable, refusal
from rag.settings import Settings
from rag.traces import step

READY_SECONDS = 2
SHOWN = ["text", "source", "title"]
INDEXED = {"source": models.PayloadSchemaType.KEYWORD, "chunk": models.PayloadSchemaType.INTEGER}


def connect(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> AsyncQdrantClient:
    """Return a client with kept-alive connections; `ingest` waits longer, for writes wait for every replica."""
    return AsyncQdrantClient(
        url=settings.qdrant_url,
        timeout=60 if settings.role == "ingest" else 5,
        headers={
            # Not as `api_key`, which warns about http: inside the platform's network that is meant.
            "api-key": settings.qdrant_api_key.get_secret_value(),
            "accept-encoding": "identity",  # to compress an answer costs Qdrant more than this network does
        },
        check_compatibility=False,  # it would ask from a thread of its own, at every start
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        transport=transport,
        trust_env=False,  # dependencies are never behind a proxy
    )


@contextmanager
def qdrant_failures() -> Iterator[None]:
    """Name what goes wrong in a call of the client."""
    try:
        yield
    except UnexpectedResponse as error:
        text = error.content.decode(errors="replace")
        raise refusal("qdrant", error.status_code or 500, text) from error
    except ResourceExhaustedResponse as error:
        raise Unavailable("qdrant", f"expected success, found 429 {error.message}", error.retry_after_s) from error
    except ResponseHandlingException as error:
        raise Unavailable("qdrant", f"expected an answer, found {type(error.source).__name__}") from error


def _connection_lost(error: BaseException) -> bool:
    """Whether a call never reached Qdrant, or hit a kept-alive connection that was just being closed."""
    return isinstance(error, ResponseHandlingException) and isinstance(error.source, LOST)


# Reads are safe to repeat once; further retries, on other nodes, are the balancer's work.
once_more = retry(retry=retry_if_exception(_connection_lost), stop=stop_after_attempt(2), reraise=True)


class Store:
    """One collection, by its name."""

    def __init__(self, client: AsyncQdrantClient, collection: str, breaker: Breaker) -> None:
        self._client = client
        self._name = collection
        self._breaker = breaker

    def of(self, collection: str) -> "Store":
        """Another collection of the same Qdrant."""
        return Store(self._client, collection, self._breaker)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """One call of Qdrant. It makes no spans of its own: this one is where its time is seen."""
        named = {"db.system.name": "qdrant", "db.collection.name": self._name, "db.operation.name": what}
        with step(f"qdrant {what}", named, leaves=True), self._breaker.guard(), qdrant_failures():
            yield

    async def search(self, vector: Vector, limit: int) -> list[Passage]:
        """Return the nearest passages, nearest first."""
        with self._asking("query"):
            ask = once_more(self._client.query_points)
            found = await ask(self._name, query=vector, limit=limit, with_payload=SHOWN)
        return [_passage(point) for point in found.points]

    async def collections(self) -> list[Collection]:
        """Return all collections, by name, with their approximate sizes."""
        with self._asking("collections"):
            names = sorted(each.name for each in (await once_more(self._client.get_collections)()).collections)
            count = once_more(self._client.count)
            counts = await asyncio.gather(*(count(name, exact=False) for name in names))
        return [Collection(name=name, points=found.count) for name, found in zip(names, counts, strict=True)]

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def answer(self) -> None:
        """Return if the collection answers, else raise `Unavailable`; the breaker takes no part."""
        try:
            with qdrant_failures():
                await asyncio.wait_for(self._client.count(self._name, exact=False), READY_SECONDS)
        except TimeoutError:
            raise Unavailable("qdrant", f"expected an answer within {READY_SECONDS} s, found none") from None
        except Refused as error:  # a probe repeats until the collection is there
            raise Unavailable("qdrant", error.reason) from error

    async def prepare(self) -> None:
        """Index the fields that stale chunks are filtered by: a strict mode refuses filters on others."""
        with self._asking("prepare"):
            indexed = (await self._client.get_collection(self._name)).payload_schema
            for field in INDEXED.keys() - indexed.keys():
                await self._client.create_payload_index(self._name, field, INDEXED[field], wait=True)

    async def digests(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the digests of those chunks that are stored already, by id."""
        with self._asking("retrieve"):
            found = await self._client.retrieve(self._name, ids, with_payload=["digest"])
        return {str(point.id): (point.payload or {}).get("digest", "") for point in found}

    async def payloads(self, ids: Sequence[int | str]) -> dict[int | str, dict[str, Any]]:
        """Return what is stored beside the vectors, of those points that there are."""
        with self._asking("retrieve"):
            found = await self._client.retrieve(self._name, ids, with_payload=True)
        return {_plain(point.id): point.payload or {} for point in found}

    async def write(self, points: Sequence[models.PointStruct]) -> None:
        """Return when every point is acknowledged by every replica that is alive."""
        with self._asking("upsert"):
            _acknowledged(await self._client.upsert(self._name, points, wait=True))

    async def drop_stale(self, chunks: Mapping[str, int]) -> None:
        """Remove what each source had beyond the number of chunks it has now."""
        stale = models.Filter(should=[_beyond(source, count) for source, count in chunks.items()])
        with self._asking("delete"):
            _acknowledged(await self._client.delete(self._name, models.FilterSelector(filter=stale), wait=True))


def _plain(point: models.ExtendedPointId) -> int | str:
    return point if isinstance(point, int) else str(point)


def _beyond(source: str, chunks: int) -> models.Filter:
    of_source = models.FieldCondition(key="source", match=models.MatchValue(value=source))
    return models.Filter(must=[of_source, models.FieldCondition(key="chunk", range=models.Range(gte=chunks))])


def _acknowledged(result: models.UpdateResult) -> None:
    if result.status != models.UpdateStatus.COMPLETED:
        raise Unavailable("qdrant", f"expected a completed write, found {result.status}")


def _passage(point: models.ScoredPoint) -> Passage:
    payload = point.payload or {}
    shown = {key: str(payload.get(key, "")) for key in SHOWN}
    return Passage(id=str(point.id), score=point.score, **shown)
