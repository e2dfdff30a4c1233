"""Clients of this machine's Docker and Kubernetes go by no proxy of the environment."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest
from docker.errors import DockerException
from kubernetes.stream.ws_client import websocket_proxycare
from websocket._url import get_proxy_info

from access.docker_engine import MOST_PROCESSES, bound_processes, docker_client
from access.kubernetes import kube

NOWHERE = "http://127.0.0.1:9"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


class Engine(BaseHTTPRequestHandler):
    """Answers as an engine does, and keeps what it was sent; it bounds only the container that it knows."""

    sent: dict[str, object] = {}  # noqa: RUF012  the server makes one handler for each request

    def do_GET(self) -> None:
        self._answer(200, {"ApiVersion": "1.44", "Version": "27.0"})

    def do_POST(self) -> None:
        self.sent[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = "/rag-dev-qdrant-0/" in self.path
        self._answer(200 if known else 404, {} if known else {"message": "no such container"})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An engine at a port of this machine, in an environment whose proxies lead nowhere."""
    for name in PROXIES:
        monkeypatch.setenv(name, NOWHERE)
    for name in ("NO_PROXY", "no_proxy", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    server = HTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    yield str(server.server_port)
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("engine")
def test_the_engine_is_reached_beside_a_proxy_that_leads_nowhere() -> None:
    assert docker_client().version()["Version"] == "27.0"
    with pytest.raises(DockerException):  # what it would be without
        docker.from_env()


@pytest.mark.usefixtures("engine")
def test_the_processes_of_a_container_are_bounded_or_the_deployment_stops() -> None:
    bound_processes("rag-dev-qdrant-0")
    assert Engine.sent["/containers/rag-dev-qdrant-0/update"] == {"PidsLimit": MOST_PROCESSES}
    with pytest.raises(RuntimeError, match=f"bound the processes of another to {MOST_PROCESSES}, found .*no such"):
        bound_processes("another")


def websocket_proxy(configuration: Any) -> str | None:
    """The proxy by which a websocket of the client would connect, as its library chooses it."""
    options = websocket_proxycare({}, configuration, None, None)  # type: ignore[no-untyped-call]
    proxy: tuple[str | None, int, object] = get_proxy_info(
        urlsplit(configuration.host).hostname,
        is_secure=True,
        proxy_host=options.get("http_proxy_host"),
        proxy_port=options.get("http_proxy_port"),
        no_proxy=options.get("http_no_proxy"),
    )
    return proxy[0]


@pytest.mark.parametrize(
    ("server", "direct"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://localhost:6443", True),
        ("https://[::1]:6443", True),
        ("https://api.example.com:6443", False),
    ],
)
@pytest.mark.usefixtures("engine")
def test_a_cluster_of_this_machine_is_reached_by_no_proxy_and_another_as_kubectl_would(
    server: str, direct: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: here, context: {cluster: c, user: u}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
    client = kube.api_client("")
    assert client.configuration.host == server
    assert ("Proxy" in type(client.rest_client.pool_manager).__name__) is not direct
    assert (websocket_proxy(client.configuration) is None) is direct
