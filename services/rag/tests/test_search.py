"""The api role finds passages, reports what is wrong with a request, and reports failed dependencies."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from network import Network
from rag.service import Service

pytestmark = pytest.mark.anyio

SEARCH = "/api/v1/rag/search"
JSON = {"Content-Type": "application/json"}
Role = Callable[..., Service]


def qdrant(result: Any, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json={"result": result, "status": "ok", "time": 0.001})


def broken(_: httpx.Request) -> httpx.Response:
    return httpx.Response(500, text="shard 3 is not available")


FOUND = qdrant(
    {"points": [{"id": "a", "version": 1, "score": 0.5, "payload": {"text": "T", "source": "S", "title": "H"}}]}
)


async def test_a_search_answers_with_passages_of_the_contract(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = FOUND
    async with client(assemble(role="api", collection="books")) as caller:
        answer = await caller.post(SEARCH, json={"query": "parse a JSON string", "limit": 3})
    assert answer.json() == {"results": [{"id": "a", "score": 0.5, "text": "T", "source": "S", "title": "H"}]}
    [asked] = network.asked
    assert asked.url.path == "/collections/books/points/query"
    assert asked.headers["api-key"] == "qdrant-key-of-the-tests"
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "x" * 2001}, "query"),
        ({"query": 1}, "query"),
        ({"query": "half a pair \ud800"}, "query"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 51}, "limit"),
        ({"query": "x", "max_results": 51}, "max_results"),
        ({"query": "x", "Limit": 5}, "Limit"),
        ([], "body"),
    ],
)
async def test_a_bad_request_is_a_422_that_names_the_field(
    assemble: Role, client: Callable, body: Any, word: str
) -> None:
    async with client(assemble(role="api")) as caller:
        answer = await caller.post(SEARCH, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(f"{word}: ")


@pytest.mark.parametrize(
    ("body", "limit"), [({}, 5), ({"max_results": 7}, 7), ({"limit": 3}, 3), ({"limit": 5, "max_results": 5}, 5)]
)
async def test_max_results_means_limit(
    assemble: Role, client: Callable, network: Network, body: dict[str, int], limit: int
) -> None:
    network.answers["qdrant"] = FOUND
    async with client(assemble(role="api")) as caller:
        assert (await caller.post(SEARCH, json={"query": "x"} | body)).status_code == 200
    assert json.loads(network.asked[0].content)["limit"] == limit


async def test_two_limits_that_differ_are_a_422(assemble: Role, client: Callable) -> None:
    async with client(assemble(role="api")) as caller:
        answer = await caller.post(SEARCH, json={"query": "x", "limit": 5, "max_results": 3})
    assert answer.status_code == 422
    assert answer.json()["message"] == "body: expected one value, found limit 5 and max_results 3; send one of them"


@pytest.mark.parametrize(("kind", "content"), [("application/json", b"{"), ("text/plain", b'{"query": "x"}')])
async def test_what_is_no_json_is_a_422_too(assemble: Role, client: Callable, kind: str, content: bytes) -> None:
    async with client(assemble(role="api")) as caller:
        answer = await caller.post(SEARCH, content=content, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert "JSON" in answer.json()["message"]


async def test_a_dead_qdrant_is_a_503_and_after_five_is_not_asked(
    assemble: Role, client: Callable, network: Network, clock: SimpleNamespace
) -> None:
    network.answers["qdrant"] = broken
    async with client(assemble(role="api")) as caller:
        for asked in (1, 2, 3, 4, 5, 5, 5):
            answer = await caller.post(SEARCH, json={"query": "x"})
            assert (answer.status_code, answer.json()["error"]) == (503, "qdrant_unavailable")
            assert len(network.asked) == asked
        assert answer.headers["Retry-After"] == "10"
        network.answers["qdrant"] = FOUND
        clock.now += 10.1
        assert (await caller.post(SEARCH, json={"query": "x"})).status_code == 200


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_refusal_of_qdrant_is_reported_without_an_invitation_to_retry_and_opens_no_breaker(
    assemble: Role, client: Callable, network: Network, status: int
) -> None:
    network.answers["qdrant"] = lambda _: httpx.Response(status, json={"status": {"error": "Not found: `books`"}})
    async with client(assemble(role="api")) as caller:
        answers = [await caller.post(SEARCH, json={"query": "x"}) for _ in range(7)]
    assert len(network.asked) == 7
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(501, "refused")}
    assert "Retry-After" not in answers[0].headers
    assert f"found {status}" in answers[0].json()["message"]


@pytest.mark.parametrize(("error", "asked"), [(httpx.RemoteProtocolError, 2), (httpx.ReadTimeout, 1)])
async def test_a_lost_connection_is_tried_once_more_and_a_slow_answer_is_not(
    assemble: Role, client: Callable, network: Network, error: type[httpx.TransportError], asked: int
) -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        if len(network.asked) == 1:
            raise error("gone", request=request)
        return FOUND(request)

    network.answers["qdrant"] = lost
    async with client(assemble(role="api")) as caller:
        answer = await caller.post(SEARCH, json={"query": "x"})
    assert len(network.asked) == asked
    assert answer.status_code == (200 if asked == 2 else 503)


async def test_ready_follows_the_collection_past_an_open_breaker(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = broken
    async with client(assemble(role="api")) as caller:
        for _ in range(6):
            await caller.post(SEARCH, json={"query": "x"})
            assert (await caller.get("/ready")).status_code == 503
        network.answers["qdrant"] = qdrant({"count": 7})
        assert (await caller.get("/ready")).status_code == 200
        assert (await caller.post(SEARCH, json={"query": "x"})).status_code == 503
        assert (await caller.get("/health")).status_code == 200


async def test_ready_is_a_503_while_there_is_no_collection(assemble: Role, client: Callable, network: Network) -> None:
    network.answers["qdrant"] = lambda _: httpx.Response(404, json={"status": {"error": "Not found: `books`"}})
    async with client(assemble(role="api")) as caller:
        assert (await caller.get("/ready")).status_code == 503


async def test_collections_are_listed_under_both_paths(
    assemble: Role, client: Callable, with_collection: Callable[[Service], Any]
) -> None:
    async with client(await with_collection(assemble(role="api"))) as caller:
        for path in ("/collections", "/api/v1/rag/collections"):
            answer = (await caller.get(path)).json()
            assert answer == {"collections": [{"name": "docs_index", "points": 0}]}


async def test_what_was_asked_is_counted_and_only_good_answers_are_timed(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = FOUND
    made = assemble(role="api")
    async with client(made) as caller:
        await caller.post(SEARCH, json={"query": "x"})
        await caller.post(SEARCH, json={})
        text = (await caller.get("/metrics")).text
    assert 'rag_requests_total{code="200",operation="search"} 1.0' in text
    assert 'rag_requests_total{code="422",operation="search"} 1.0' in text
    assert 'rag_query_duration_seconds_count{operation="search"} 1.0' in text
    assert 'rag_query_duration_seconds_count{operation="query"} 0.0' in text


async def test_the_contract_is_published(assemble: Role, client: Callable) -> None:
    async with client(assemble(role="api")) as caller:
        document = (await caller.get("/api/v1/rag/openapi.json")).json()
    assert {SEARCH, "/api/v1/rag/query", "/collections", "/health", "/ready"} <= set(document["paths"])
    assert "503" in document["paths"][SEARCH]["post"]["responses"]
