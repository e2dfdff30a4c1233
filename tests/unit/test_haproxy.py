"""The balancer: its configuration is accepted by the real HAProxy, and its client takes a server out and back."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from access.haproxy import BalancerApi, BalancerUnreachable
from components.qdrant.haproxy import GRPC, HTTP, QUERIES, RETRIES, STATISTICS, haproxy_config
from tests.unit.served import free_port


@pytest.fixture(scope="session")
def haproxy() -> str:
    """The real program; on a machine of this project's tests it is always there."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not found:
        if os.environ.get("CI"):
            pytest.fail("expected haproxy on PATH; install it")
        pytest.skip("haproxy is not on this machine")
    return found


SLOW_SECONDS = 1.5  # longer than the queries' time-out here
NODES = ["qdrant-0", "qdrant-1", "qdrant-2"]


def test_the_real_haproxy_accepts_the_configuration(haproxy: str, tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(haproxy_config(NODES, password="secret", query_timeout_ms=1000))
    checked = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_real_haproxy_refuses_a_broken_configuration(haproxy: str, tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(haproxy_config(NODES, password="secret", query_timeout_ms=1000).replace("balance", "balanse"))
    assert subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, check=False).returncode != 0


def test_every_node_stands_in_every_backend() -> None:
    config = haproxy_config([*NODES, "qdrant-3", "qdrant-4"], password="secret", query_timeout_ms=1000)
    assert config.count("server qdrant-4 ") == 3


def test_only_reading_calls_are_asked_twice_whatever_happened() -> None:
    assert not [path for path in QUERIES if path.rstrip("/").endswith(("/points", "delete", "payload", "vectors"))]


class Node(BaseHTTPRequestHandler):
    """A node that is ready, and says who it is."""

    protocol_version = "HTTP/1.1"
    slow: ClassVar[list[str]] = []  # paths of the slow calls that any node got

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "/slow/" in self.path:
            Node.slow.append(self.path)
            time.sleep(SLOW_SECONDS)
        body = str(self.connection.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  the name http.server calls

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Nodes(ThreadingHTTPServer):
    """A balancer that is stopped cuts its connections off; nobody needs to read that."""

    def handle_error(self, *_: object) -> None:
        return


@pytest.fixture
def balancer(haproxy: str, tmp_path: Path) -> Iterator[tuple[BalancerApi, str]]:
    """The real HAProxy before two nodes of this process; its client, and the address it balances."""
    nodes = [Nodes(("127.0.0.1", 0), Node) for _ in range(2)]
    for node in nodes:
        Thread(target=node.serve_forever, daemon=True).start()
    config = haproxy_config(NODES[:2], password="secret", query_timeout_ms=1000)
    ports = {port: free_port() for port in (HTTP, GRPC, STATISTICS)}
    for ordinal, node in enumerate(nodes):
        for port in (HTTP, GRPC):
            config = config.replace(f"qdrant-{ordinal}:{port}", f"127.0.0.1:{node.server_address[1]}")
    for port, free in ports.items():
        config = config.replace(f"bind :{port}", f"bind 127.0.0.1:{free}").replace(f"port {port} ", f"port {free} ")
    file = tmp_path / "haproxy.cfg"
    file.write_text(config)
    process = subprocess.Popen([haproxy, "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
    api = BalancerApi(f"http://127.0.0.1:{ports[STATISTICS]}", "operator", "secret")
    wait_until(lambda: in_traffic(api, "qdrant-0") and in_traffic(api, "qdrant-1"))
    yield api, f"http://127.0.0.1:{ports[HTTP]}"
    process.terminate()
    process.wait()
    for node in nodes:
        node.shutdown()


def in_traffic(api: BalancerApi, server: str) -> bool:
    try:
        return api.states(server)["qdrant_http"].startswith("UP")
    except BalancerUnreachable:
        return False


def wait_until(true: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def answering(url: str) -> set[str]:
    import requests

    return {requests.get(f"{url}/healthz", timeout=60).text for _ in range(10)}


def test_a_drained_server_gets_nothing_and_a_readmitted_one_does(balancer: tuple[BalancerApi, str]) -> None:
    api, url = balancer
    assert len(answering(url)) == 2
    assert api.drain("qdrant-0") == 0
    assert len(answering(url)) == 1
    assert set(api.states("qdrant-0").values()) == {"MAINT"}
    api.readmit("qdrant-0")
    wait_until(lambda: len(answering(url)) == 2)


@pytest.mark.parametrize(
    "call", ["count", "scroll", "facet", "search/matrix/pairs", "query?timeout=30", "search?timeout=30", "?timeout=30"]
)
def test_a_slow_read_is_waited_for_and_sent_once(balancer: tuple[BalancerApi, str], call: str) -> None:
    import requests

    Node.slow.clear()
    answer = requests.post(f"{balancer[1]}/collections/slow/points/{call}", json={}, timeout=30)
    assert (answer.status_code, len(Node.slow)) == (200, 1)
    assert set(balancer[0].states("qdrant-0").values()) == {"UP"}


def test_a_search_without_a_time_out_of_its_own_is_sent_to_another_node_after_the_short_one(
    balancer: tuple[BalancerApi, str],
) -> None:
    import requests

    Node.slow.clear()
    answer = requests.post(f"{balancer[1]}/collections/slow/points/search", json={}, timeout=30)
    assert (answer.status_code, len(Node.slow)) == (504, 1 + RETRIES)


def test_a_wrong_password_is_an_error(balancer: tuple[BalancerApi, str]) -> None:
    api, _ = balancer
    wrong = BalancerApi(api._url, "operator", "wrong")
    with pytest.raises(RuntimeError, match="check its stats password"):
        wrong.drain("qdrant-0")


def test_no_balancer_is_distinguished_from_one_that_refuses() -> None:
    with pytest.raises(BalancerUnreachable):
        BalancerApi(f"http://127.0.0.1:{free_port()}", "operator", "secret").drain("qdrant-0")
