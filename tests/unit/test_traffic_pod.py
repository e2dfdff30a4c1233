"""The clients in a pod: what is sent there suffices, and what they say is reader, once, on this machine's clock."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import ReadTimeoutError

from access.polling import SYSTEM_CLOCK, Clock
from proof import traffic
from proof.traffic import traffic_pod
from proof.traffic.calls import failed, of
from proof.traffic.clients import ASK, READ, WRITE
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import CONFIG, NAME, SHIPPED, LogReader, TrafficPod
from proof.traffic.vectors import fingerprint, signs
from proof.traffic.waiting import wait_for_calls
from tests.unit.fake_time import FakeTime

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
        """Not logged."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stack) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def started(folder: Path, url: str) -> "subprocess.Popen[str]":
    """The program, with nothing of this package but what a pod is sent."""
    package = folder / "proof" / "traffic"
    package.mkdir(parents=True)
    for name in SHIPPED:
        shutil.copy(Path(traffic.__path__[0]) / f"{name}.py", package)
    endpoints = Endpoints(
        points_url=f"{url}/points", api_key="key", dimensions=DIMENSIONS, gateway_url=url, token="token", addresses=0
    )
    (folder / CONFIG).write_text(json.dumps({"endpoints": asdict(endpoints), "pace": asdict(PACE)}))
    return subprocess.Popen(
        [sys.executable, "-m", "proof.traffic.in_cluster", CONFIG],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def test_the_shipped_program_calls_and_reports_and_ends_on_sigterm(tmp_path: Path, url: str, ledger: Ledger) -> None:
    before, reader = time.monotonic(), LogReader(ledger)
    with started(tmp_path, url) as process:
        assert process.stdout
        too_long = threading.Timer(120, process.kill)
        too_long.start()
        for line in process.stdout:
            reader.receive(line)
            if len(of(reader.calls, READ)) >= 20 and len(of(reader.calls, WRITE)) >= 5 and not reader.ended:
                process.terminate()
        too_long.cancel()
    assert (process.returncode, reader.begun, reader.ended) == (0, True, True)
    made = [
        each for each in reader.calls if each.attempts
    ]  # at the end some may be due that no client could make any more
    assert failed(of(made, READ, WRITE)) == []
    asked = of(made, ASK)
    assert asked
    assert failed(asked) == asked
    assert len(ledger.entries) == 4 * len(of(made, WRITE))
    assert all(mark == fingerprint(signs(point, DIMENSIONS)) for point, mark in ledger.entries.items())
    assert all(before < each.due <= each.ended < time.monotonic() for each in reader.calls)


def call(number: int) -> str:
    seen = {"due": 6.0 + number, "began": 6.0 + number, "ended": 6.5 + number, "answered": True}
    return json.dumps({"call": {"stream": READ, "detail": "", "attempts": 1, **seen}})


def begin() -> str:
    return json.dumps({"monotonic": 5.0, "time": time.time()})


def test_a_clock_that_began_elsewhere_is_moved_to_this_one(ledger: Ledger) -> None:
    reader = LogReader(ledger)
    reader.receive(begin())
    reader.receive(call(0))
    [found] = reader.calls
    assert found.due == pytest.approx(time.monotonic() + 1, abs=0.5)
    assert found.seconds == 0.5


def test_a_clock_that_is_ahead_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match=r"found it 4\d\.\d s ahead"):
        LogReader(ledger).receive(json.dumps({"monotonic": 5.0, "time": time.time() + 42}))


def test_a_line_that_is_none_of_the_clients_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="expected a line of the clients, found 'Traceback"):
        LogReader(ledger).receive("Traceback (most recent call last):")


def test_a_lost_line_is_noticed(ledger: Ledger) -> None:
    reader = LogReader(ledger)
    reader.receive(begin())
    with pytest.raises(ValueError, match="expected 3 lines of the clients, found 2"):
        reader.receive(json.dumps({"lines": 3}))


class BrokenLog:
    """Streams its text in chunks that end anywhere, and breaks off at its end."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def stream(self, _size: int) -> Iterator[bytes]:
        for start in range(0, len(self._text), 7):
            yield self._text[start : start + 7]
        raise ReadTimeoutError(None, "", "")  # type: ignore[arg-type]


@dataclass
class FakeApi:
    """A cluster that accepts everything; each read of the pod's log gets the next of these, an int as an HTTP error."""

    logs: list[str | int]
    made: set[str] = field(default_factory=set)

    def read_namespaced_pod_log(self, *_: Any, **__: Any) -> BrokenLog:
        found = self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]
        if isinstance(found, int):
            raise ApiException(status=found)
        return BrokenLog(found)

    def create_namespaced_secret(self, _: str, secret: dict[str, Any]) -> None:
        self.made.add(f"secret {secret['metadata']['name']}")

    def delete_namespaced_secret(self, name: str, _: str) -> None:
        self.made.discard(f"secret {name}")

    def create_namespaced_pod(self, _: str, pod: dict[str, Any]) -> None:
        self.made.add(f"pod {pod['metadata']['name']}")

    def read_namespaced_pod(self, *_: Any) -> Any:
        return SimpleNamespace(status=SimpleNamespace(phase="Pending"), spec=SimpleNamespace(node_name=None))


class FakeNamespace:
    """A namespace on that cluster."""

    name = "rag-proof"

    def __init__(self, *logs: str | int) -> None:
        self.core = FakeApi(list(logs))

    def allow(self, caller: str, callee: str, port: int) -> None:
        self.core.made.add(f"policy {caller} {callee} {port}")

    def delete(self, pod: str, *, notice_seconds: int) -> None:
        self.core.made.discard(f"pod {pod}")

    def remove(self, pod: str) -> None:
        self.core.made = {each for each in self.core.made if not each.startswith((f"pod {pod}", f"policy {pod}"))}


def start_traffic(namespace: Any, ledger: Ledger, clock: Clock = SYSTEM_CLOCK) -> TrafficPod:
    endpoints = Endpoints(points_url="", api_key="key", dimensions=8, gateway_url="", token="token", addresses=0)
    return TrafficPod(namespace, {"metadata": {"name": NAME}}, endpoints, PACE, ledger, clock=clock)


def log(*calls: int, ended: bool = False) -> str:
    lines = [begin(), *map(call, calls)]
    lines += [json.dumps({"lines": len(lines) + 1})] if ended else []
    return "\n".join(lines) + "\n"


def test_a_log_that_breaks_off_is_read_on_from_where_it_was(ledger: Ledger) -> None:
    half = log(0, 1, 2)[:-30]  # within a line
    namespace = FakeNamespace(400, half, 503, log(0, 1, 2, 3), log(0, 1, 2, 3, 4, ended=True))
    with start_traffic(namespace, ledger) as clients:
        wait_for_calls(clients, 0, READ)
    assert [round(found.due - clients.calls[0].due) for found in clients.calls] == [0, 1, 2, 3, 4]
    assert namespace.core.made == set()


def test_clients_that_are_cut_off_break_the_run(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_pod, "GRACE_SECONDS", 0.1)
    namespace = FakeNamespace(log(0, 1))
    with pytest.raises(RuntimeError, match="found that they were cut off"), start_traffic(namespace, ledger):
        pass
    assert namespace.core.made == set()


def test_what_ended_the_clients_is_reported(ledger: Ledger) -> None:
    namespace = FakeNamespace(log(0) + "Traceback (most recent call last):\n")
    with pytest.raises(RuntimeError, match="Traceback"), start_traffic(namespace, ledger) as clients:
        wait_for_calls(clients, 1000, READ)
    assert namespace.core.made == set()


def test_clients_that_never_begin_leave_nothing_behind(ledger: Ledger) -> None:
    namespace = FakeNamespace(400)
    with (
        pytest.raises(TimeoutError, match="found pod traffic Pending"),
        start_traffic(namespace, ledger, FakeTime().clock),
    ):
        raise AssertionError("the block must not run")
    assert namespace.core.made == set()
    assert not [thread for thread in threading.enumerate() if thread.name == NAME and not joined(thread)]


def joined(thread: threading.Thread) -> bool:
    thread.join(30)
    return not thread.is_alive()
