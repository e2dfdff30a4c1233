"""A question is answered from passages that are cited, or the problem is reported."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from network import TOKEN, Network
from rag.answering import NOTHING, sentences
from rag.service import Service

pytestmark = pytest.mark.anyio

Role = Callable[..., Service]
TEXTS = {
    "json": "Use json.loads to parse a JSON string into Python objects. It raises JSONDecodeError on bad input.",
    "tea": "Green tea is steeped for two minutes. Black tea wants four minutes and boiling water.",
}
ANSWER = {"answer": "Yes. [1]", "citations": []}


def qdrant(_: httpx.Request) -> httpx.Response:
    points = [
        {"id": name, "version": 1, "score": 0.5, "payload": {"text": text, "source": f"{name}.md", "title": name}}
        for name, text in TEXTS.items()
    ]
    return httpx.Response(200, json={"result": {"points": points}})


async def test_an_extract_begins_with_the_nearest_sentence_and_cites_its_passage(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = qdrant
    async with client(assemble(role="query")) as caller:
        answer = (await caller.post("/query", json={"question": "How long should black tea steep?"})).json()
    assert answer["answer"].startswith("Black tea wants four minutes and boiling water. [1]")
    first = answer["citations"][0]
    assert (first["number"], first["source"]) == (1, "tea.md")
    assert set(first) == {"id", "score", "text", "source", "title", "number"}


async def test_an_empty_index_answers_nothing_and_cites_nothing(
    assemble: Role, client: Callable, with_collection: Callable[[Service], Any]
) -> None:
    async with client(await with_collection(assemble(role="query"))) as caller:
        assert (await caller.post("/query", json={"question": "x"})).json() == {"answer": NOTHING, "citations": []}


def test_a_sentence_ends_like_one_and_wrapped_lines_are_one_sentence() -> None:
    text = "# Heading of it all\n\nThis sentence is wrapped over\ntwo lines. >>> code without an end\nShort."
    assert sentences(text) == ["This sentence is wrapped over two lines."]


async def test_ollama_answers_from_numbered_passages_and_what_it_mentions_is_cited(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers |= {
        "qdrant": qdrant,
        "ollama": lambda _: httpx.Response(200, json={"message": {"content": "Four minutes. [2]"}}),
    }
    async with client(assemble(role="query", llm="ollama", ollama_model="tiny")) as caller:
        answer = (await caller.post("/query", json={"question": "How long?"})).json()
    assert answer["answer"] == "Four minutes. [2]"
    assert [each["source"] for each in answer["citations"]] == ["tea.md"]
    sent = json.loads(network.asked[-1].content)
    assert sent["model"] == "tiny"
    assert "[2] tea\nGreen tea" in sent["messages"][1]["content"]


@pytest.mark.parametrize("answer", [None, httpx.Response(500), httpx.Response(404), httpx.Response(200, json={})])
async def test_without_its_model_a_question_is_a_503_and_not_another_answer(
    assemble: Role, client: Callable, network: Network, answer: httpx.Response | None
) -> None:
    network.answers["qdrant"] = qdrant
    if answer:
        network.answers["ollama"] = lambda _: answer
    async with client(assemble(role="query", llm="ollama")) as caller:
        problem = await caller.post("/query", json={"question": "How long?"})
    assert (problem.status_code, problem.json()["error"]) == (503, "llm_unavailable")
    assert problem.headers["Retry-After"]


async def test_ollama_can_make_the_vectors_and_its_death_opens_the_embedding_breaker(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers |= {
        "qdrant": qdrant,
        "ollama": lambda _: httpx.Response(200, json={"embeddings": [[0.1] * 384]}),
    }
    made = assemble(role="api", embedder="ollama")
    async with client(made) as caller:
        assert (await caller.post("/api/v1/rag/search", json={"query": "x"})).status_code == 200
        del network.answers["ollama"]
        for number in range(6):
            problem = await caller.post("/api/v1/rag/search", json={"query": f"new {number}"})
    assert problem.json()["error"] == "embedding_unavailable"
    assert made.breakers.embedding.state == 2


async def test_the_api_passes_a_question_on_with_token_and_request_id(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["query"] = lambda _: httpx.Response(200, json=ANSWER)
    async with client(assemble(role="api")) as caller:
        answer = await caller.post("/api/v1/rag/query", json={"question": "x"}, headers={"X-Request-ID": "id-7"})
    assert answer.json() == ANSWER
    [asked] = network.asked
    assert (asked.headers["X-Service-Token"], asked.headers["X-Request-ID"]) == (TOKEN, "id-7")


async def test_a_dead_query_role_opens_its_breaker_and_searches_go_on(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = qdrant
    made = assemble(role="api")
    async with client(made) as caller:
        for _ in range(6):
            problem = await caller.post("/api/v1/rag/query", json={"question": "x"})
            assert (problem.status_code, problem.json()["error"]) == (503, "query_unavailable")
        assert len(network.asked) == 10  # five failures, each of them asked once more
        assert (await caller.post("/api/v1/rag/search", json={"query": "x"})).status_code == 200


async def test_a_question_to_a_replica_that_has_just_gone_is_asked_once_more(
    assemble: Role, client: Callable, network: Network
) -> None:
    def gone_then_well(request: httpx.Request) -> httpx.Response:
        if len(network.asked) == 1:
            raise httpx.RemoteProtocolError("closed without an answer", request=request)
        return httpx.Response(200, json=ANSWER)

    network.answers["query"] = gone_then_well
    async with client(assemble(role="api")) as caller:
        answer = await caller.post("/api/v1/rag/query", json={"question": "x"})
    assert (answer.status_code, len(network.asked)) == (200, 2)


async def test_what_the_query_role_is_refused_is_passed_on_and_its_breaker_stays_closed(
    assemble: Role, client: Callable, network: Network
) -> None:
    network.answers["qdrant"] = lambda _: httpx.Response(400, text="strict mode")
    async with client(assemble(role="query")) as caller:
        refused = await caller.post("/query", json={"question": "x"})
    assert (refused.status_code, refused.json()["error"]) == (501, "refused")
    network.answers["query"] = lambda _: httpx.Response(refused.status_code, json=refused.json())
    made = assemble(role="api")
    async with client(made) as caller:
        for _ in range(6):
            problem = await caller.post("/api/v1/rag/query", json={"question": "x"})
    assert (problem.status_code, problem.json()) == (refused.status_code, refused.json())
    assert "Retry-After" not in problem.headers
    assert made.breakers.query.state == 0


@pytest.mark.parametrize("body", [{"query": "x y"}, {"question": "x y", "query": "x y"}])
async def test_query_means_question(assemble: Role, client: Callable, network: Network, body: Any) -> None:
    network.answers |= {"query": lambda _: httpx.Response(200, json=ANSWER), "qdrant": qdrant}
    async with client(assemble(role="api")) as caller:
        assert (await caller.post("/api/v1/rag/query", json=body)).status_code == 200
    assert json.loads(network.asked[0].content) == {"question": "x y"}
    async with client(assemble(role="query")) as caller:
        assert (await caller.post("/query", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "found"),
    [({}, "expected a question, found none"), ({"query": "x", "question": "y"}, "found question 'y'")],
)
async def test_no_question_and_two_questions_are_a_422(assemble: Role, client: Callable, body: Any, found: str) -> None:
    async with client(assemble(role="query")) as caller:
        answer = await caller.post("/query", json=body)
    assert answer.status_code == 422
    assert found in answer.json()["message"]


async def test_what_the_query_role_lacks_is_passed_on_and_its_breaker_stays_closed(
    assemble: Role, client: Callable, network: Network
) -> None:
    lacks = {"error": "qdrant_unavailable", "message": "qdrant is not available: it rests"}
    network.answers["query"] = lambda _: httpx.Response(503, json=lacks, headers={"Retry-After": "9"})
    made = assemble(role="api")
    async with client(made) as caller:
        for _ in range(6):
            problem = await caller.post("/api/v1/rag/query", json={"question": "x"})
    assert problem.json() == lacks
    assert problem.headers["Retry-After"] == "9"
    assert made.breakers.query.state == 0
