"""A body over the role's limit is refused while it is read, before it is parsed."""

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from rag import body
from rag.body import MAX_VALUES
from rag.service import Service
from rag.settings import MIB, load_settings

pytestmark = pytest.mark.anyio

SEARCH = "/api/v1/rag/search"
Role = Callable[..., Service]
Client = Callable[..., httpx.AsyncClient]


class Chunks:
    """A body of unknown length; counts what was read of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read < self.count:
            self.read += 1
            yield b"x" * 512


def refused(answer: httpx.Response, message: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")
    assert message in answer.json()["message"]


@pytest.mark.parametrize(("role", "path"), [("api", SEARCH), ("query", "/query"), ("ingest", "/reindex")])
async def test_a_body_over_the_limit_is_a_413_of_the_contract(
    assemble: Role, client: Client, role: str, path: str
) -> None:
    async with client(assemble(role=role, max_body_bytes=2000)) as caller:
        refused(await caller.post(path, content=b"x" * 2001), "expected a body of at most 2,000 bytes, found 2,001")
        assert (await caller.post(path, content=b"x" * 2000)).status_code == 422


async def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(assemble: Role, client: Client) -> None:
    chunks = Chunks(1000)
    async with client(assemble(role="api", max_body_bytes=2000)) as caller:
        refused(await caller.post(SEARCH, content=chunks), "expected a body of at most 2,000 bytes")
    assert chunks.read == 4


async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read(
    assemble: Role, client: Client
) -> None:
    chunks = Chunks(1000)
    async with client(assemble(role="api", max_body_bytes=2000)) as caller:
        refused(await caller.post(SEARCH, content=chunks, headers={"Content-Length": "512000"}), "found 512,000")
    assert chunks.read == 0


async def test_without_the_token_no_body_is_read(assemble: Role, client: Client) -> None:
    chunks = Chunks(1000)
    async with client(assemble(role="api"), headers={}) as caller:
        assert (await caller.post(SEARCH, content=chunks)).status_code == 401
    assert chunks.read == 0


@pytest.mark.parametrize("filler", ["[]", "{}", "0"])
async def test_a_body_of_more_values_than_memory_is_refused(assemble: Role, client: Client, filler: str) -> None:
    content = f'{{"documents":[{",".join([filler] * (MAX_VALUES + 1))}]}}'
    async with client(assemble(role="ingest")) as caller:
        answer = await caller.post("/reindex", content=content, headers={"Content-Type": "application/json"})
    refused(answer, "expected at most 200,000 JSON values")


@pytest.mark.parametrize("text", ['a, b [c] {d} \\" ' * 100_000, '\\"' * 300_000])
def test_what_stands_in_a_string_is_no_value(text: str) -> None:
    body._check_values(json.dumps({"documents": [{"source": "s", "text": text}]}).encode())
    body._check_values(f'{{"unfinished": "{text}'.encode())


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("role", "limit"), [("api", MIB), ("query", MIB), ("ingest", 32 * MIB)])
def test_each_role_has_a_limit(role: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(role).body_limit == limit
    monkeypatch.setenv("MAX_BODY_BYTES", "4096")
    assert load_settings(role).body_limit == 4096


@pytest.mark.parametrize("content", [b"[" * 100_000, b'"\xff"'])
async def test_what_no_parser_reads_is_a_422_and_not_a_failure(assemble: Role, client: Client, content: bytes) -> None:
    async with client(assemble(role="ingest")) as caller:
        answer = await caller.post("/reindex", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
