"""Whatever is asked of a role, and however it fails: no line of its log holds a secret, and each is one JSON object."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from network import TOKEN, Network
from rag.logs import JsonLines
from rag.service import Service

pytestmark = pytest.mark.anyio

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw"  # pragma: allowlist secret
WRONG = "a-token-that-is-not-ours"
REQUESTS = [
    ("POST", "/api/v1/rag/search", {"query": "x"}),
    ("POST", "/api/v1/rag/query", {"question": "x"}),
    ("POST", "/query", {"question": "x"}),
    ("POST", "/reindex", {"documents": [{"source": "s", "title": "t", "text": "text"}]}),
    ("POST", "/api/v1/rag/search", {"nonsense": JWT}),
    ("GET", f"/collections?token={JWT}", None),
    ("GET", "/nowhere", None),
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is written, in the form it is written in."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines("api"))
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "asyncio")}
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)  # as log_as_json has it
    yield written
    root.removeHandler(handler)
    for name, level in {**quiet, "": before}.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def drive(assemble: Callable[..., Service], client: Callable, network: Network) -> Callable[..., Any]:
    """Ask everything of a role: with the right token, with a wrong one, and with a JWT that got past the gateway."""

    async def driven(role: str, qdrant: httpx.Response) -> None:
        network.answers["qdrant"] = lambda _: qdrant
        made = assemble(role=role)
        for token in (TOKEN, WRONG):
            headers = {"X-Service-Token": token, "Authorization": f"Bearer {JWT}", "Cookie": f"jwt={JWT}"}
            async with client(made, headers=headers) as caller:
                for method, path, body in REQUESTS:
                    await caller.request(method, path, json=body)

    return driven


@pytest.mark.parametrize("role", ["api", "query", "ingest"])
@pytest.mark.parametrize("qdrant", [httpx.Response(500, text="broken"), httpx.Response(403, text="wrong key")])
async def test_no_line_holds_a_secret(
    drive: Callable[..., Any], environment: Path, log: io.StringIO, role: str, qdrant: httpx.Response
) -> None:
    await drive(role, qdrant)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    served = [line for line in lines if line["message"] == "request"]
    assert len(served) >= 2 * len(REQUESTS)
    assert all(line["request_id"] for line in served)
    secrets = {TOKEN, WRONG, JWT, *((environment / name).read_text().strip() for name in ("QDRANT_API_KEY",))}
    assert [secret for secret in secrets if secret in log.getvalue()] == []


def test_a_secret_in_a_line_would_be_seen(log: io.StringIO) -> None:
    logging.getLogger("rag").info("request", extra={"headers": {"X-Service-Token": TOKEN}})
    assert TOKEN in log.getvalue()
    assert json.loads(log.getvalue())["message"] == "request"
