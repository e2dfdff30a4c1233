"""The clients in a pod: what is sent there suffices, what they say is heard, and on this machine's clock."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import proof
from proof.calls import failed, of
from proof.clients import ASK, READ, WRITE
from proof.crowd import Doors, Pace
from proof.ledger import Ledger
from proof.pod_crowd import SHIPPED, Heard
from proof.vectors import fingerprint, signs

PACE = Pace(read=50, search=0, ask=20, write=20, connections=4)
DIMENSIONS = 8


class Stack(BaseHTTPRequestHandler):
    """A balancer that answers, beside a gateway that refuses."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if "/api/v1/rag" in self.path else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stack) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def started(folder: Path, url: str) -> "subprocess.Popen[str]":
    """The program, with nothing of this package but what a pod is sent."""
    (folder / "proof").mkdir()
    for name in SHIPPED:
        shutil.copy(Path(proof.__path__[0]) / f"{name}.py", folder / "proof")
    doors = Doors(
        points_url=f"{url}/points", api_key="key", dimensions=DIMENSIONS, gateway_url=url, token="token", addresses=0
    )
    (folder / "told.json").write_text(json.dumps({"doors": asdict(doors), "pace": asdict(PACE)}))
    return subprocess.Popen(
        [sys.executable, "-m", "proof.inside", "told.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_a_pod_is_sent_calls_and_tells_and_ends_when_it_is_asked_to(tmp_path: Path, url: str) -> None:
    before = time.monotonic()
    with started(tmp_path, url) as process, Ledger(tmp_path / "ledger.jsonl") as ledger:
        heard = Heard(ledger)
        assert process.stdout
        for line in process.stdout:
            heard.hear(line)
            if len(of(heard.calls, READ)) >= 20 and len(of(heard.calls, WRITE)) >= 5 and not heard.ended:
                process.terminate()
    assert (process.returncode, heard.begun, heard.ended) == (0, True, True)
    assert failed(of(heard.calls, READ, WRITE)) == []
    asked = of(heard.calls, ASK)
    assert asked
    assert failed(asked) == asked
    assert len(ledger.entries) == 4 * len(of(heard.calls, WRITE))
    assert all(mark == fingerprint(signs(point, DIMENSIONS)) for point, mark in ledger.entries.items())
    assert all(before < call.due <= call.ended < time.monotonic() for call in heard.calls)


def test_a_clock_that_began_elsewhere_is_moved_to_this_one(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        heard = Heard(ledger)
        heard.hear(json.dumps({"monotonic": 5.0, "time": time.time()}))
        call = {"stream": READ, "due": 6.0, "began": 6.0, "ended": 6.5, "answered": True, "detail": "", "attempts": 1}
        heard.hear(json.dumps({"call": call}))
    [found] = heard.calls
    assert found.due == pytest.approx(time.monotonic() + 1, abs=0.5)
    assert found.seconds == 0.5


def test_what_is_no_line_of_the_clients_is_not_taken_for_silence(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger, pytest.raises(ValueError, match="Expecting value"):
        Heard(ledger).hear("Traceback (most recent call last):")
