"""Documents are indexed once however often they are sent, and nothing is called done that was not acknowledged."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from rag import roles
from rag.indexing import RetryPolicy
from rag.service import Service
from tenacity import stop_after_attempt, wait_none

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

TEXT = "".join(f"Fact number {number} about parsing JSON strings is written down here. " for number in range(25))
ONE = {"source": "one.md", "title": "One", "text": TEXT}
TWO = {"source": "two.md", "title": "Two", "text": "Tea is a drink. It is made of leaves and hot water."}


class Flaky:
    """The collection in memory, failing as the test says: `faults[method]` is what its next calls raise or return."""

    def __init__(self, memory: AsyncQdrantClient) -> None:
        self._memory = memory
        self.faults: dict[str, list[Any]] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if faults := self.faults.get(name):
                if isinstance(fault := faults.pop(0), Exception):
                    raise fault
                return fault
            return await getattr(self._memory, name)(*args, **kwargs)

        return call


def status(code: int) -> UnexpectedResponse:
    return UnexpectedResponse(code, "", b"", httpx.Headers())


@pytest.fixture
async def made(assemble: Callable[..., Service], with_collection: Any, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The ingest role over a collection in memory, with patience for three attempts and no pauses."""
    retries = RetryPolicy(wait_none(), stop_after_attempt(3))
    indexer = roles.Indexer
    monkeypatch.setattr(roles, "Indexer", lambda *parts: indexer(*parts, retries))
    service: Service = await with_collection(assemble(role="ingest"))
    service.store._client = Flaky(service.store._client)  # type: ignore[assignment]
    return service


@pytest.fixture
def qdrant(made: Service) -> Flaky:
    return made.store._client  # type: ignore[return-value]


@pytest.fixture
def index(made: Service, client: Callable[..., httpx.AsyncClient]) -> Callable[..., Awaitable[Any]]:
    """Send documents and wait for the end of the job."""
    caller = client(made)

    async def indexed(*documents: dict[str, str]) -> Any:
        body = json.dumps({"documents": documents})  # which writes half a surrogate pair, as `json=` does not
        accepted = await caller.post("/reindex", content=body, headers={"Content-Type": "application/json"})
        assert accepted.status_code == 202
        path = f"/reindex/{accepted.json()['job']}"
        async with asyncio.timeout(20):
            while (progress := (await caller.get(path)).json())["state"] in ("queued", "running"):
                await asyncio.sleep(0.005)
        return progress

    return indexed


async def states_become(caller: httpx.AsyncClient, states: list[str]) -> None:
    async with asyncio.timeout(10):
        while [job["state"] for job in (await caller.get("/reindex")).json()["jobs"]] != states:
            await asyncio.sleep(0.005)


async def stored(made: Service) -> dict[str, Any]:
    points, _ = await made.store._client.scroll(made.settings.collection, limit=1000, with_vectors=True)
    return {str(point.id): (point.payload, point.vector) for point in points}


async def test_a_document_becomes_points_with_text_source_and_title(made: Service, index: Callable) -> None:
    progress = await index(ONE, TWO)
    points = await stored(made)
    assert progress["state"] == "done"
    assert (progress["documents_total"], progress["documents_done"]) == (2, 2)
    assert progress["chunks_done"] == len(points) >= 3
    payloads = [payload for payload, _ in points.values()]
    assert {(payload["source"], payload["title"]) for payload in payloads} == {("one.md", "One"), ("two.md", "Two")}
    assert TWO["text"] in [payload["text"] for payload in payloads]


async def test_indexing_again_changes_nothing_and_computes_nothing(
    made: Service, index: Callable, qdrant: Flaky
) -> None:
    first = await index(ONE, TWO)
    before = await stored(made)
    qdrant.calls.clear()
    again = await index(ONE, TWO)
    assert await stored(made) == before
    assert again["chunks_unchanged"] == again["chunks_done"] == first["chunks_done"]
    assert "upsert" not in qdrant.calls


async def test_a_changed_document_replaces_what_its_source_had(made: Service, index: Callable) -> None:
    await index(ONE, TWO)
    await index(ONE | {"text": "All is new and short."})
    texts = {payload["text"] for payload, _ in (await stored(made)).values()}
    assert texts == {"All is new and short.", TWO["text"]}


async def test_a_new_title_is_a_change(made: Service, index: Callable) -> None:
    await index(TWO)
    assert (await index(TWO | {"title": "Drinks"}))["chunks_unchanged"] == 0
    assert [payload["title"] for payload, _ in (await stored(made)).values()] == ["Drinks"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [(" \n", "found none"), ("PNG\0\0", "NUL bytes"), ("\ud800", "surrogate"), ("word " * 9, "found it again")],
)
async def test_what_cannot_be_read_is_named_and_the_rest_is_indexed(index: Callable, text: str, reason: str) -> None:
    source = TWO["source"] if "again" in reason else "bad"
    progress = await index(TWO, {"source": source, "title": "Bad", "text": text}, ONE)
    assert (progress["state"], progress["documents_done"]) == ("done", 2)
    [skipped] = progress["skipped"]
    assert skipped["source"] == source
    assert reason in skipped["reason"]


@pytest.mark.parametrize("method", ["get_collection", "retrieve", "upsert", "delete"])
async def test_a_passing_failure_is_waited_out(made: Service, index: Callable, qdrant: Flaky, method: str) -> None:
    qdrant.faults[method] = [status(500), status(503)]
    progress = await index(ONE)
    assert progress["state"] == "done"
    assert progress["chunks_done"] == len(await stored(made))
    assert made.metrics.registry.get_sample_value("rag_ingest_write_retries_total") == 2


async def test_a_write_that_was_not_acknowledged_is_not_done_and_the_job_may_be_repeated(
    made: Service, index: Callable, qdrant: Flaky
) -> None:
    whole = (await index(ONE))["chunks_done"]
    await index(ONE | {"text": "Short."})
    qdrant.faults["upsert"] = [status(500)] * 3
    interrupted = await index(ONE, TWO)
    assert (interrupted["state"], interrupted["documents_done"]) == ("failed", 0)
    assert interrupted["chunks_done"] < whole
    assert "send the documents again" in interrupted["error"]
    repeated = await index(ONE, TWO)
    assert repeated["state"] == "done"
    assert repeated["chunks_done"] == len(await stored(made)) == whole + 1


async def test_a_write_that_is_only_queued_is_not_acknowledged(made: Service, index: Callable, qdrant: Flaky) -> None:
    qdrant.faults["upsert"] = [models.UpdateResult(status=models.UpdateStatus.ACKNOWLEDGED)] * 3
    assert (await index(TWO))["chunks_done"] == 0
    assert await stored(made) == {}


async def test_a_refusal_is_not_repeated(index: Callable, qdrant: Flaky) -> None:
    qdrant.faults["upsert"] = [status(400)]
    assert (await index(TWO))["state"] == "failed"
    assert qdrant.calls.count("upsert") == 1


async def test_jobs_are_listed_and_an_unknown_one_is_a_404(
    made: Service, index: Callable, client: Callable[..., httpx.AsyncClient]
) -> None:
    async with client(made) as caller:
        unknown = await caller.get("/reindex/nothing")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
        assert (await caller.post("/reindex", json={"documents": []})).status_code == 422


async def test_too_many_waiting_jobs_are_turned_away(
    made: Service, client: Callable[..., httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = asyncio.Event()
    monkeypatch.setattr(made.store, "prepare", hold.wait)
    async with client(made) as caller:
        answers = [await caller.post("/reindex", json={"documents": [TWO]}) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [202] * 9 + [503] * 2
        await states_become(caller, ["queued"] * 8 + ["running"])
        hold.set()
        await states_become(caller, ["done"] * 9)
