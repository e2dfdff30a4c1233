"""The clients in a pod: what is sent there suffices, and what they say is heard, once, on this machine's clock."""

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

from proof import traffic
from proof.traffic import traffic_pod
from proof.traffic.calls import failed, of
from proof.traffic.clients import ASK, READ, WRITE
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import NAME, SHIPPED, Heard, TrafficPod
from proof.traffic.vectors import fingerprint, signs

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
    package = folder / "proof" / "traffic"
    package.mkdir(parents=True)
    for name in SHIPPED:
        shutil.copy(Path(traffic.__path__[0]) / f"{name}.py", package)
    endpoints = Endpoints(
        points_url=f"{url}/points", api_key="key", dimensions=DIMENSIONS, gateway_url=url, token="token", addresses=0
    )
    (folder / "told.json").write_text(json.dumps({"endpoints": asdict(endpoints), "pace": asdict(PACE)}))
    return subprocess.Popen(
        [sys.executable, "-m", "proof.traffic.in_cluster", "told.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def test_what_a_pod_is_sent_calls_and_tells_and_ends_when_it_is_asked_to(
    tmp_path: Path, url: str, ledger: Ledger
) -> None:
    before, heard = time.monotonic(), Heard(ledger)
    with started(tmp_path, url) as process:
        assert process.stdout
        too_long = threading.Timer(120, process.kill)
        too_long.start()
        for line in process.stdout:
            heard.hear(line)
            if len(of(heard.calls, READ)) >= 20 and len(of(heard.calls, WRITE)) >= 5 and not heard.ended:
                process.terminate()
        too_long.cancel()
    assert (process.returncode, heard.begun, heard.ended) == (0, True, True)
    made = [each for each in heard.calls if each.attempts]  # at the end some may be due that nobody could make any more
    assert failed(of(made, READ, WRITE)) == []
    asked = of(made, ASK)
    assert asked
    assert failed(asked) == asked
    assert len(ledger.entries) == 4 * len(of(made, WRITE))
    assert all(mark == fingerprint(signs(point, DIMENSIONS)) for point, mark in ledger.entries.items())
    assert all(before < each.due <= each.ended < time.monotonic() for each in heard.calls)


def call(number: int) -> str:
    seen = {"due": 6.0 + number, "began": 6.0 + number, "ended": 6.5 + number, "answered": True}
    return json.dumps({"call": {"stream": READ, "detail": "", "attempts": 1, **seen}})


def begin() -> str:
    return json.dumps({"monotonic": 5.0, "time": time.time()})


def test_a_clock_that_began_elsewhere_is_moved_to_this_one(ledger: Ledger) -> None:
    heard = Heard(ledger)
    heard.hear(begin())
    heard.hear(call(0))
    [found] = heard.calls
    assert found.due == pytest.approx(time.monotonic() + 1, abs=0.5)
    assert found.seconds == 0.5


def test_a_clock_that_is_ahead_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match=r"found it 4\d\.\d s ahead"):
        Heard(ledger).hear(json.dumps({"monotonic": 5.0, "time": time.time() + 42}))


def test_what_is_no_line_of_the_clients_is_not_taken_for_silence(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="expected a line of the clients, found 'Traceback"):
        Heard(ledger).hear("Traceback (most recent call last):")


def test_a_line_that_was_lost_is_missed(ledger: Ledger) -> None:
    heard = Heard(ledger)
    heard.hear(begin())
    with pytest.raises(ValueError, match="expected 3 lines of the clients, found 2"):
        heard.hear(json.dumps({"lines": 3}))


class BrokenLog:
    """Says what is there in chunks that end anywhere, and breaks off at the end of what it is to say."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def stream(self, _size: int) -> Iterator[bytes]:
        for start in range(0, len(self._text), 7):
            yield self._text[start : start + 7]
        raise ReadTimeoutError(None, "", "")  # type: ignore[arg-type]


@dataclass
class FakeApi:
    """A cluster that takes everything; the pod's log is not there at first, and then said in these parts."""

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


class FakeSpace:
    """A namespace on that cluster."""

    name = "rag-proof"

    def __init__(self, *logs: str | int) -> None:
        self.core = FakeApi(list(logs))

    def allow(self, caller: str, callee: str, port: int) -> None:
        self.core.made.add(f"wire {caller} {callee} {port}")

    def delete(self, pod: str, *, notice_seconds: int) -> None:
        self.core.made.discard(f"pod {pod}")

    def remove(self, pod: str) -> None:
        self.core.made = {each for each in self.core.made if not each.startswith((f"pod {pod}", f"wire {pod}"))}


def start_traffic(space: Any, ledger: Ledger) -> TrafficPod:
    endpoints = Endpoints(points_url="", api_key="key", dimensions=8, gateway_url="", token="token", addresses=0)
    return TrafficPod(space, {"metadata": {"name": NAME}}, endpoints, PACE, ledger)


def log(*calls: int, ended: bool = False) -> str:
    said = [begin(), *map(call, calls)]
    said += [json.dumps({"lines": len(said) + 1})] if ended else []
    return "\n".join(said) + "\n"


def test_a_log_that_breaks_off_is_read_on_from_where_it_was(ledger: Ledger) -> None:
    half = log(0, 1, 2)[:-30]  # within a line
    space = FakeSpace(400, half, 503, log(0, 1, 2, 3), log(0, 1, 2, 3, 4, ended=True))
    with start_traffic(space, ledger) as clients:
        clients.wait_for(0, READ)
    assert [round(found.due - clients.calls[0].due) for found in clients.calls] == [0, 1, 2, 3, 4]
    assert space.core.made == set()


def test_clients_that_are_cut_off_break_the_run(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_pod, "GRACE_SECONDS", 0.1)
    space = FakeSpace(log(0, 1))
    with pytest.raises(RuntimeError, match="found that they were cut off"), start_traffic(space, ledger):
        pass
    assert space.core.made == set()


def test_what_the_clients_die_of_is_told(ledger: Ledger) -> None:
    space = FakeSpace(log(0) + "Traceback (most recent call last):\n")
    with pytest.raises(RuntimeError, match="Traceback"), start_traffic(space, ledger) as clients:
        clients.wait_for(1000, READ)
    assert space.core.made == set()


def test_clients_that_never_begin_leave_nothing_behind(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_pod, "START_SECONDS", 0.1)
    space = FakeSpace(400)
    with pytest.raises(TimeoutError, match="found pod traffic Pending"), start_traffic(space, ledger):
        raise AssertionError("nobody was let in")
    assert space.core.made == set()
    assert not [thread for thread in threading.enumerate() if thread.name == NAME and not joined(thread)]


def joined(thread: threading.Thread) -> bool:
    thread.join(30)
    return not thread.is_alive()
