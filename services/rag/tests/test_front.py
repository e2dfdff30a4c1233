"""Every request needs the service token, and is logged with its id."""

import json
import logging
from collections.abc import Callable

import pytest
from network import TOKEN
from rag.logs import JsonLines
from rag.service import Service

pytestmark = pytest.mark.anyio

Role = Callable[..., Service]
CLOSED_PATHS = ["/collections", "/api/v1/rag/collections", "/api/v1/rag/openapi.json", "/docs", "/health/", "/"]


@pytest.mark.parametrize("path", CLOSED_PATHS)
async def test_every_other_path_wants_the_token(assemble: Role, client: Callable, path: str) -> None:
    async with client(assemble(role="api"), headers={}) as caller:
        refused = await caller.get(path)
    assert refused.status_code == 401
    assert refused.json()["error"] == "unauthorized"


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/metrics", 200), ("/ready", 503)])
async def test_three_paths_do_not(assemble: Role, client: Callable, path: str, status: int) -> None:
    async with client(assemble(role="api"), headers={}) as caller:
        assert (await caller.get(path)).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Service-Token", "wrong")],
        [("X-Service-Token", "")],
        [("X-Service-Token", TOKEN.upper())],
        [("X-Service-Token", "tökèn")],
        [("X-Service-Token", TOKEN), ("X-Service-Token", TOKEN)],
        [("X-Service-Token", "wrong"), ("X-Service-Token", TOKEN)],
        [("X-Service-Token", f"{TOKEN}, {TOKEN}")],
        [("X_Service_Token", TOKEN)],
        [("X-Service-Token", TOKEN), ("X_Service_Token", "anything")],
        [("Authorization", f"Bearer {TOKEN}")],
    ],
)
async def test_a_wrong_a_second_or_an_underscored_token_is_refused(
    assemble: Role, client: Callable, headers: list[tuple[str, str]]
) -> None:
    async with client(assemble(role="ingest"), headers=[(k.encode(), v.encode()) for k, v in headers]) as caller:
        assert (await caller.get("/reindex")).status_code == 401


async def test_the_right_token_comes_in_however_its_name_is_written(assemble: Role, client: Callable) -> None:
    async with client(assemble(role="ingest"), headers={"x-SERVICE-token": TOKEN}) as caller:
        assert (await caller.get("/reindex")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/reindex", "/reindex/none", "/api/v1/rag/openapi.json"]
)
async def test_head_is_get_without_a_body(assemble: Role, client: Callable, path: str) -> None:
    async with client(assemble(role="ingest")) as caller:
        got, headed = await caller.get(path), await caller.head(path)
        assert (await caller.head("/reembed")).status_code == 405
        text = (await caller.get("/metrics")).text
    assert headed.status_code == got.status_code
    assert headed.headers["Content-Type"] == got.headers["Content-Type"]
    assert headed.content == b""
    assert 'rag_requests_total{code="404",operation="other"}' not in text


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2/3", True), ('x"} evil', False), ("a" * 129, False)])
async def test_a_harmless_request_id_is_taken_over_and_another_replaced(
    assemble: Role, client: Callable, given: str, kept: bool
) -> None:
    async with client(assemble(role="api")) as caller:
        answered = (await caller.get("/health", headers={"X-Request-ID": given})).headers["X-Request-ID"]
    assert (answered == given) is kept
    assert answered


async def test_a_request_is_one_json_line_with_its_id_and_without_secrets(
    assemble: Role, client: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines("api"))
    caplog.set_level(logging.DEBUG)
    async with client(assemble(role="api")) as caller:
        await caller.get("/collections?secret=1", headers={"X-Request-ID": "id-1"})
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    [line] = [line for line in lines if line["message"] == "request"]
    assert (
        line.items()
        >= {"request_id": "id-1", "status": 503, "path": "/collections", "operation": "collections"}.items()
    )
    assert TOKEN not in caplog.text
    assert "secret=1" not in json.dumps(line)


async def test_a_bug_is_a_500_with_its_details_in_the_log_and_none_for_the_caller(
    assemble: Role, client: Callable, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = assemble(role="api")
    monkeypatch.setattr(made.embedding, "of_query", lambda _: 1 / 0)
    async with client(made) as caller:
        answer = await caller.post("/api/v1/rag/search", json={"query": "x"})
    assert (answer.status_code, answer.json()["error"]) == (500, "internal")
    assert answer.headers["X-Request-ID"]
    assert "ZeroDivisionError" in caplog.text
    assert "division" not in answer.text
