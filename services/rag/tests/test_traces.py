"""A request has one trace, from the caller's through both roles to Qdrant; its id is in the log, its text nowhere."""

import json
import logging
from collections.abc import Callable

import httpx
import pytest
from collector import collecting
from network import TOKEN, Network
from rag.logs import JsonLines
from rag.service import Service

pytestmark = pytest.mark.anyio

Role = Callable[..., Service]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
QUESTION = "what does nobody need to know?"
FOUND = {"points": [{"id": "a", "version": 1, "score": 0.5, "payload": {"text": "T", "source": "S", "title": "H"}}]}


@pytest.fixture
def whole(network: Network, assemble: Role, client: Callable) -> Role:
    """The api role, whose query role answers for real; both export to the same collector."""

    def made(traces_url: str) -> tuple[Service, Service]:
        network.answers["qdrant"] = lambda _: httpx.Response(200, json={"result": FOUND, "status": "ok", "time": 0})
        return assemble(role="api", traces_url=traces_url), assemble(role="query", traces_url=traces_url)

    return made


async def ask(api: Service, query: Service, network: Network, client: Callable) -> None:
    """Ask the api role; what it asks of the query role is carried over by hand."""
    network.answers["query"] = lambda _: httpx.Response(200, json={"answer": "T", "citations": []})
    async with client(api) as caller:
        await caller.post("/api/v1/rag/query", json={"question": QUESTION}, headers=CALLER)
    [passed_on] = [request for request in network.asked if request.url.host == "query"]
    headers = {"traceparent": passed_on.headers["traceparent"]}
    async with client(query) as caller:
        await caller.post("/query", json={"question": QUESTION}, headers=headers)
    await api.close()
    await query.close()


async def test_one_trace_goes_from_the_caller_through_both_roles_to_qdrant(
    whole: Role, network: Network, client: Callable
) -> None:
    with collecting() as collector:
        await ask(*whole(collector.url), network, client)
    spans = {span.name: span for span in collector.spans}
    assert {span.trace for span in collector.spans} == {TRACE}
    assert spans["POST /api/v1/rag/query"].parent == "b7ad6b7169203331"
    assert spans["ask query role"].parent == spans["POST /api/v1/rag/query"].id
    assert spans["POST /query"].parent == spans["ask query role"].id
    assert spans["qdrant query"].parent == spans["POST /query"].id
    assert (spans["ask query role"].service, spans["qdrant query"].service) == ("rag-api", "rag-query")
    sent = "".join(span.text for span in collector.spans)
    assert QUESTION not in sent
    assert TOKEN not in sent


async def test_a_failed_step_is_marked_by_its_kind_and_not_by_its_text(
    whole: Role, network: Network, client: Callable
) -> None:
    with collecting() as collector:
        api, query = whole(collector.url)
        network.answers["qdrant"] = lambda _: httpx.Response(500, text=f"cannot answer {QUESTION}")
        await ask(api, query, network, client)
    [failed] = [span for span in collector.spans if span.name == "qdrant query"]
    assert "STATUS_CODE_ERROR" in failed.text
    assert "cannot answer" not in failed.text


async def test_the_trace_is_in_every_line_of_the_log(
    whole: Role, client: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines("api"))
    with collecting() as collector:
        api, _ = whole(collector.url)
        async with client(api) as caller:
            caplog.set_level(logging.INFO)
            await caller.post("/api/v1/rag/search", json={"query": "x"}, headers=CALLER)
        await api.close()
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert {line.get("trace_id") for line in lines if line["logger"] == "rag.front"} == {TRACE}


async def test_without_a_collector_nothing_is_traced_and_nothing_sent(
    whole: Role, network: Network, client: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines("api"))
    caplog.set_level(logging.INFO)
    with collecting() as collector:
        api, _ = whole("")
        async with client(api) as caller:
            await caller.post("/api/v1/rag/search", json={"query": "x"}, headers=CALLER)
        await api.close()
    assert collector.spans == []
    assert "trace_id" not in caplog.text


async def test_probes_are_no_traces(whole: Role, client: Callable) -> None:
    with collecting() as collector:
        api, _ = whole(collector.url)
        async with client(api) as caller:
            await caller.get("/health")
            await caller.get("/collections")
        await api.close()
    assert [span.name for span in collector.spans if span.name.startswith("GET")] == ["GET /collections"]
