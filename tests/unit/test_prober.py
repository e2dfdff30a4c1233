"""The prober of the live cluster tests tells what failed, and knows which points it was promised."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.live.prober import BATCH, STRIDE, Client, identifiers


class Moody(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Moody) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_is_no_failure_and_a_refusal_is_one(url: str) -> None:
    client = Client(url, "key")
    assert client.call("POST", "/200", {}) == ""
    assert client.call("POST", "/503", {}).startswith("503")
    assert client.call("POST", "/200", {}) == ""


def test_nobody_at_home_is_a_failure() -> None:
    assert "refused" in Client("http://127.0.0.1:1", "key").call("POST", "/200", {})


def test_what_was_acknowledged_is_what_each_writer_counted() -> None:
    assert identifiers(100, [0, 0]) == []
    assert identifiers(100, [1, 0]) == list(range(100, 100 + BATCH))
    assert identifiers(100, [0, 1]) == list(range(100 + STRIDE, 100 + STRIDE + BATCH))
