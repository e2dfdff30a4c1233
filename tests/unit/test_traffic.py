"""The harness sees what an impatient client would see."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proof.traffic.calls import failed, quantile, within
from proof.traffic.endpoints import Endpoints, Pace, streams
from proof.traffic.generator import Answer, Stream, Traffic
from proof.traffic.ledger import Ledger, read
from proof.traffic.vectors import fingerprint, signs
from proof.traffic.waiting import wait_for_calls
from tests.unit.served import Answer as Answered
from tests.unit.served import Asked, served


class Stalling:
    """Answers at once, but for one call that takes its time."""

    def __init__(self, stalled: int, seconds: float) -> None:
        self.stalled, self.seconds = stalled, seconds

    def __call__(self, number: int, stopped: threading.Event) -> Answer:
        if number == self.stalled:
            time.sleep(self.seconds)
        return Answer(answered=True)


def run(client: Stalling, *, calls: int, per_second: float = 100, connections: int = 1) -> Traffic:
    stream = Stream(name="read", per_second=per_second, connections=connections, connect=lambda: client)
    with Traffic([stream]) as traffic:
        wait_for_calls(traffic, calls, "read")
    return traffic


def test_a_stall_is_felt_by_every_call_that_was_due_meanwhile() -> None:
    calls = run(Stalling(20, 0.5), calls=100).calls
    waited = [call for call in calls if call.seconds > 0.1]
    assert len(waited) >= 30  # 40 were due more than 0.1 s before it was over
    assert quantile(calls, 0.9) > 0.1


def test_without_a_stall_no_call_waits() -> None:
    calls = run(Stalling(-1, 0), calls=100, connections=4).calls
    assert quantile(calls, 0.5) < 0.05


def test_measured_from_when_it_was_sent_the_same_stall_would_hide() -> None:
    calls = sorted(run(Stalling(20, 0.5), calls=100).calls, key=lambda call: call.ended - call.began)
    assert calls[int(len(calls) * 0.9)].ended - calls[int(len(calls) * 0.9)].began < 0.1


def test_calls_that_were_due_and_never_made_have_failed() -> None:
    stream = Stream(name="read", per_second=100, connections=1, connect=lambda: Stalling(0, 0.5))
    with Traffic([stream]) as traffic:
        time.sleep(0.5)  # 0.3 s after the first call was due: some thirty more are due, and no client is free
    assert len(failed(traffic.calls)) >= 20
    assert all("every client was still waiting" in call.detail for call in failed(traffic.calls))


class WokenByTheEnd(threading.Event):
    """A machine so slow that a waiting client wakes only when all is over."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait() if timeout else self.is_set()


def test_a_call_that_the_end_cut_off_before_it_began_has_not_failed() -> None:
    traffic = Traffic([Stream(name="read", per_second=100, connections=1, connect=lambda: Stalling(-1, 0))])
    traffic._stop = WokenByTheEnd()
    with traffic:
        time.sleep(0.3)  # the first call was due after 0.2 s
    assert traffic.calls == []


def test_calls_are_made_at_their_rate_by_any_client() -> None:
    calls = run(Stalling(-1, 0), calls=50, per_second=100, connections=8).calls
    dues = sorted(call.due for call in calls)
    assert all(later - earlier == pytest.approx(0.01, abs=1e-6) for earlier, later in itertools.pairwise(dues))
    assert len(within(calls, dues[0], dues[0] + 0.2)) in (20, 21)


def test_traffic_that_does_not_come_is_not_waited_for_for_ever() -> None:
    stream = Stream(name="read", per_second=1, connections=1, connect=lambda: Stalling(-1, 0))
    with Traffic([stream]) as traffic, pytest.raises(TimeoutError, match="expected 9 calls of read"):
        wait_for_calls(traffic, 9, "read", timeout_seconds=0.1)


def test_a_ledger_outlives_its_writer_and_a_line_cut_short_was_never_relied_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.acknowledge({1: "a", 2: "b"})
        assert read(path) == {1: "a", 2: "b"}  # before it was closed
    with path.open("a") as file:
        file.write('{"id": 3, "sha')
    assert read(path) == {1: "a", 2: "b"}
    with Ledger(path) as ledger:
        ledger.acknowledge({4: "d"})
    assert read(path) == {1: "a", 2: "b", 4: "d"}


def test_a_fingerprint_survives_a_database_and_not_a_changed_vector() -> None:
    vector = signs(7, 384)
    assert sum(component**2 for component in vector) == pytest.approx(1)
    stored = [component * 1.0001 + 1e-6 for component in vector]  # normalised again, and kept in four bytes
    assert fingerprint(stored) == fingerprint(vector)
    assert fingerprint(vector) != fingerprint(signs(8, 384))
    vector[100] *= -1
    assert fingerprint(vector) != fingerprint(signs(7, 384))


PROBES: list[dict[str, Any]] = [
    {"method": "POST", "path": "/api/v1/notes", "body": {"q": "x"}, "status": 201, "contains": '"ok"'},
    {"method": "GET", "path": "/live"},
]


def test_own_services_are_called_as_they_say_and_judged_by_what_they_call_good(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    answers = {"/api/v1/notes": Answered(201, {"said": "ok"}), "/live": Answered(200, "alive")}

    def answer(asked: Asked) -> Answered:
        seen.append((asked.method, asked.path))
        assert asked.headers["authorization"] == "Bearer token"
        return answers[asked.path]

    with served(answer) as url, Ledger(tmp_path / "ledger") as ledger:
        endpoints = Endpoints(
            points_url=url, api_key="k", dimensions=4, gateway_url=url, token="token", addresses=0, probes=PROBES
        )
        [search] = streams(endpoints, Pace(read=0, write=0, search=1, ask=1), ledger)
        client, stopped = search.connect(), threading.Event()
        assert [client(number, stopped).answered for number in range(2)] == [True, True]
        answers["/api/v1/notes"] = Answered(201, {"said": "no"})
        answers["/live"] = Answered(503, "starting")
        assert [client(number, stopped).answered for number in range(2)] == [False, False]
    assert seen == [("POST", "/api/v1/notes"), ("GET", "/live")] * 2


def test_without_probes_the_reference_service_is_searched_and_asked(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        endpoints = Endpoints(points_url="", api_key="k", dimensions=4, gateway_url="", token="t", addresses=0)
        assert [each.name for each in streams(endpoints, Pace(read=0, write=0), ledger)] == ["search", "ask"]
