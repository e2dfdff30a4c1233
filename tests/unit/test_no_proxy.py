"""Calls of this machine and to neighbours pass no proxy, whatever the environment says."""

import ast
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from access.direct import bypass_proxy, direct_request, direct_session
from access.haproxy import BalancerApi
from access.kong import AdminApi
from ops import gateway, orphans, status
from ops.ingest import IngestClient
from proof.traffic import clients
from qdrant_admin.api import QdrantApi
from qdrant_admin.collection.reindexing import ReindexClient

ROOMS = ("access", "cli", "components", "ops", "platforms", "policies", "proof", "providers", "qdrant_admin", "slo")
# Registries, which may be behind the proxy; and what runs by itself in a pod, with a test below.
OUTSIDE = {"components/gateway/public_keys.py", "ops/registry.py", "proof/measure/k6.py", "proof/traffic/clients.py"}
DIRECT = "access/direct.py"
CALLS = {"get", "post", "put", "delete", "patch", "head", "options", "request", "Session", "session", "urlopen"}
CALLS |= {"build_opener", "PoolManager", "ProxyManager", "Client", "AsyncClient", "QdrantClient", "AsyncQdrantClient"}
CALLS |= {"create_connection", "WebSocket", "WebSocketApp", "urlretrieve", "stream"}
LIBRARIES = {"requests", "httpx", "urllib", "urllib3", "aiohttp", "websocket", "qdrant_client"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"result": {"vector_size": 8, "results": []}, "vector_size": 8, "results": [], "data": []}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_proxy_of_this_test_stops_a_client_that_trusts_it(url: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get(url, timeout=5)


@pytest.mark.parametrize(
    "call",
    [
        lambda url: direct_request("GET", url, timeout=5).raise_for_status(),
        lambda url: direct_session().get(url, timeout=5).raise_for_status(),
        lambda url: QdrantApi(url, "key").cluster(),
        lambda url: ReindexClient(url, "token", "minilm").vector_size(),
        lambda url: IngestClient(url, "token")._call("GET", "/"),
        lambda url: gateway.search(url, "token", "question"),
        lambda url: orphans.remove_orphan_entities(AdminApi(url=url, token="t"), []),
    ],
)
def test_every_client_reaches_a_server_of_this_machine(url: str, call: Callable[[str], object]) -> None:
    call(url)


def test_the_state_of_an_endpoint_is_read_without_a_proxy(url: str) -> None:
    assert status._state(url, "/", {}) == "well"


def test_the_proofs_clients_pass_no_proxy(url: str) -> None:
    assert clients.direct_session().get(url, timeout=5).status_code == 200


def test_the_balancer_is_reached_without_a_proxy(url: str) -> None:
    assert BalancerApi(url, "user", "password")._session.trust_env is False


def test_what_is_started_from_here_reaches_this_machine_without_a_proxy(url: str) -> None:
    os.environ["no_proxy"] = "mine.example"
    bypass_proxy()
    bypass_proxy()
    assert os.environ["NO_PROXY"] == "mine.example,127.0.0.1,localhost,::1" == os.environ["no_proxy"]
    requests.get(url, timeout=5).raise_for_status()


def trusting(source: str) -> list[str]:
    """Clients that a module makes with a library itself."""
    tree = ast.parse(source)
    meant = {"requests": "requests", "httpx": "httpx"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meant |= {(each.asname or each.name).partition(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            meant |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}

    def full(node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{full(node.value)}.{node.attr}"
        return meant.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    named = {full(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    typed = {full(part) for node in ast.walk(tree) for part in ast.walk(getattr(node, "annotation", None) or ast.Pass())
             if isinstance(part, ast.expr)}  # fmt: skip
    typed |= {full(part) for node in ast.walk(tree) for part in ast.walk(getattr(node, "returns", None) or ast.Pass())
              if isinstance(part, ast.expr)}  # fmt: skip
    return sorted(
        name for name in named - typed if name.partition(".")[0] in LIBRARIES and name.rpartition(".")[2] in CALLS
    )


def test_no_module_makes_a_client_that_trusts_the_environment() -> None:
    found = {
        str(file): names
        for room in ROOMS
        for file in Path(room).rglob("*.py")
        if str(file) not in OUTSIDE | {DIRECT} and (names := trusting(file.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.get('x')",
        "import requests as r\ns = r.Session()",
        "from requests import get\nget('x')",
        "import httpx\nhttpx.Client()",
        "from qdrant_client import QdrantClient\nQdrantClient('x')",
        "from urllib.request import urlopen\nurlopen('x')",
        "import urllib.request\nurllib.request.build_opener()",
        "import requests\nfrom dataclasses import field\nx = field(default_factory=requests.Session)",
    ],
)
def test_a_client_that_trusts_the_environment_would_be_seen(source: str) -> None:
    assert trusting(source)
