"""Documents are indexed once however often they are sent, and nothing is called done that was not acknowledged."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from rag import jobs, roles
from rag.indexing import RetryPolicy
from rag.service import Service
from tenacity import stop_after_attempt, wait_none

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

TEXT = "".join(f"Fact number {number} about parsing JSON strings is written down here. " for number in range(25))
ONE = {"source": "one.md", "title": "One", "text": TEXT}
TWO = {"source": "two.md", "title": "Two", "text": "Tea is a drink. It is made of leaves and hot water."}


class Flaky:
    """The collection in memory, failing on demand: `faults[method]` is what its next calls raise or return."""

    def __init__(self, memory: AsyncQdrantClient) -> None:
        self._memory = memory
        self.faults: dict[str, list[Any]] = {}
        self.calls: list[str] = []
        self.sent: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            self.sent.append((name, args))
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


@pytest.mark.parametrize("method", ["get_collection", "create_payload_index", "retrieve", "upsert", "delete"])
@pytest.mark.parametrize("code", [400, 403, 404])
async def test_a_refusal_fails_the_job_with_its_message_and_is_not_repeated(
    index: Callable, qdrant: Flaky, method: str, code: int
) -> None:
    qdrant.faults[method] = [status(code)]
    progress = await index(TWO)
    assert progress["state"] == "failed"
    assert f"qdrant refused the request: expected success, found {code}" in progress["error"]
    assert "change what it refuses, then send" in progress["error"]
    assert qdrant.calls.count(method) == 1


async def test_every_field_that_is_filtered_by_is_indexed_first(index: Callable, qdrant: Flaky) -> None:
    await index(TWO)
    [deleted] = [arguments for name, arguments in qdrant.sent if name == "delete"]
    filtered = set(re.findall(r"key='(\w+)'", repr(deleted)))
    indexed = {arguments[1] for name, arguments in qdrant.sent if name == "create_payload_index"}
    assert filtered == indexed == {"source", "chunk"}
    assert qdrant.calls.index("create_payload_index") < qdrant.calls.index("delete")


async def test_wrong_documents_are_listed_and_the_others_of_their_batch_are_indexed(index: Callable) -> None:
    wrong = [
        {"source": "long", "title": "t" * 1025, "text": "x"},
        {"source": "\ud800", "text": "x"},
        {"source": "\0", "text": "x"},
        {"source": "typed", "text": 5},
        {"source": "uri", "text": f"data:image/png;base64,{'A' * 1000}"},
        "no document",
    ]
    progress = await index(ONE, *wrong, TWO)
    assert (progress["state"], progress["documents_total"], progress["documents_done"]) == ("done", 8, 2)
    assert [each["source"] for each in progress["skipped"]] == ["long", "\\ud800", "\0", "typed", "uri", "documents[6]"]
    assert all("expected" in each["reason"] and "found" in each["reason"] for each in progress["skipped"])


async def test_markdown_and_html_are_sent_as_they_are(made: Service, index: Callable) -> None:
    await index(
        {"source": "m", "text": "---\ntitle: Kong\n---\n# Install\n\nRun **it**.", "format": "markdown"},
        {"source": "h", "text": "<title>Tea</title><p>Hello <b>x</b>, y", "format": "html"},
    )
    found = {(payload["title"], payload["text"]) for payload, _ in (await stored(made)).values()}
    assert found == {("Kong", "# Install\n\nRun it."), ("Tea", "Hello x, y")}


async def test_without_documents_the_sources_are_indexed_again(
    made: Service, client: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.md").write_text("# A\n\nText of a.")
    (tmp_path / "sources" / "b.pdf").write_bytes(b"%PDF")
    given = replace(made, settings=made.settings.model_copy(update={"sources_dir": tmp_path / "sources"}))
    async with client(given) as caller:
        assert (await caller.post("/reindex")).status_code == 202
        await states_become(caller, ["done"])
        assert (await caller.post("/reindex", json={})).status_code == 202
        await states_become(caller, ["done", "done"])
        [again, first] = (await caller.get("/reindex")).json()["jobs"]
    assert (first["documents_total"], first["documents_done"], first["chunks_unchanged"]) == (2, 1, 0)
    assert (again["documents_done"], again["chunks_unchanged"]) == (1, 1)
    assert [each["source"] for each in first["skipped"]] == ["b.pdf"]


async def test_a_folder_that_waits_already_is_not_queued_again_and_is_read_as_it_is_then(
    made: Service, client: Callable[..., httpx.AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = asyncio.Event()
    monkeypatch.setattr(made.store, "prepare", hold.wait)
    given = replace(made, settings=made.settings.model_copy(update={"sources_dir": tmp_path}))
    async with client(given) as caller:
        first = (await caller.post("/reindex", json={"documents": [TWO]})).json()["job"]
        waiting = {(await caller.post("/reindex")).json()["job"] for _ in range(20)}
        assert len(waiting | {first}) == 2
        (tmp_path / "late.txt").write_text("Written while the job waited.")
        hold.set()
        await states_become(caller, ["done", "done"])
        assert (await caller.get("/reindex")).json()["jobs"][0]["documents_done"] == 1


async def test_the_role_s_own_sources_are_read_again_for_a_caller_without_a_token_and_nothing_else_is(
    made: Service, client: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    given = replace(made, settings=made.settings.model_copy(update={"sources_dir": tmp_path}))
    for service, status in ((given, 202), (made, 401)):
        async with client(service, headers={}) as caller:
            assert (await caller.post("/reindex")).status_code == status
            assert (await caller.post("/reindex", json={"documents": [TWO]})).status_code == 401
            chunked = caller.build_request("POST", "/reindex", content=_parts())
            assert (await caller.send(chunked)).status_code == 401
            assert (await caller.get("/reindex")).status_code == 401


async def _parts() -> AsyncIterator[bytes]:
    yield b'{"documents": []}'


async def test_jobs_are_listed_and_an_unknown_one_is_a_404(
    made: Service, index: Callable, client: Callable[..., httpx.AsyncClient]
) -> None:
    async with client(made) as caller:
        unknown = await caller.get("/reindex/nothing")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
        for body in ({"documents": []}, {"documents": None}, {"documents": "text"}, {"document": [TWO]}, [TWO]):
            assert (await caller.post("/reindex", json=body)).status_code == 422


async def test_waiting_jobs_are_bounded_in_bytes(
    made: Service, client: Callable[..., httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = asyncio.Event()
    monkeypatch.setattr(made.store, "prepare", hold.wait)
    monkeypatch.setattr(jobs, "WAITING_BYTES", 300)
    async with client(made) as caller:
        body = {"documents": [{"source": "large", "text": "word " * 30}]}
        assert [(await caller.post("/reindex", json=body)).status_code for _ in range(2)] == [202, 503]
        hold.set()
        await states_become(caller, ["done"])
        assert (await caller.post("/reindex", json=body)).status_code == 202
        await states_become(caller, ["done", "done"])


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
