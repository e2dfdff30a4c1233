"""The gate opens only when Kong itself has refused for long enough, and never for another reason."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, cycle, repeat
from typing import Any

import pytest

from access.kong import RouteObservation, await_lasting, await_refused, observe_route
from providers.guarded import GuardedProvider
from tests.unit.fake_time import FakeTime

Answer = tuple[int, Any, dict[str, str]]
REFUSED: Answer = (401, {"message": "Unauthorized"}, {})
OPEN: Answer = (404, {"detail": "Not Found"}, {"X-Kong-Upstream-Latency": "3"})
REFUSED_BEHIND: Answer = (401, {"message": "Unauthorized"}, {"X-Kong-Upstream-Latency": "3"})
UNROUTED: Answer = (404, {"message": "no Route matched with those values"}, {})


@contextmanager
def kong(answers: Iterator[Answer]) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives one answer after another, and the requests it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append((self.path, dict(self.headers), self.client_address))
            status, body, headers = next(answers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            """Not read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()


def refused_for(span_seconds: float, observations: Iterator[RouteObservation]) -> tuple[int, float]:
    """How many observations it took, and how many seconds."""
    time, taken = FakeTime(), 0

    def observe() -> RouteObservation:
        nonlocal taken
        taken += 1
        return next(observations)

    await_lasting(observe, lambda found: found.refused, span_seconds, expected="a refusal", clock=time.clock)
    return taken, time.seconds


def observed(answer: Answer) -> RouteObservation:
    status, body, headers = answer
    return RouteObservation(status, str(body.get("message", body)), bool(headers))


def test_the_gate_opens_after_refusals_that_outlast_a_workers_timer() -> None:
    taken, seconds = refused_for(11, repeat(observed(REFUSED)))
    assert taken >= 20
    assert seconds >= 11


def test_one_open_worker_starts_the_count_again() -> None:
    observations = chain(repeat(observed(REFUSED), 19), [observed(OPEN)], repeat(observed(REFUSED)))
    taken, _ = refused_for(2, observations)
    assert taken >= 19 + 1 + 20


def test_a_flood_makes_the_wait_longer_and_does_not_reset_it() -> None:
    flood = RouteObservation(429, "The upstream server responded with 429")
    taken, _ = refused_for(2, cycle([flood, flood, observed(REFUSED)]))
    assert taken >= 3 * 20


@pytest.mark.parametrize(
    "observations",
    [
        cycle([observed(REFUSED)] * 9 + [observed(OPEN)]),  # one worker of ten never loads the plugin
        repeat(observed(REFUSED_BEHIND)),
        repeat(observed(UNROUTED)),
        repeat(RouteObservation(401, "No credentials found for given 'kid'")),
        repeat(RouteObservation(None, "connection refused")),
        repeat(RouteObservation(429, "The upstream server responded with 429")),
        cycle([observed(REFUSED)] * 9 + [RouteObservation(429, "API rate limit exceeded")]),  # jwt let the tenth pass
    ],
)
def test_the_gate_stays_shut_for_anything_but_kongs_own_refusal(observations: Iterator[RouteObservation]) -> None:
    with pytest.raises(TimeoutError, match="expected a refusal within 60 s, found"):
        refused_for(3, observations)


def test_a_refusal_by_kong_differs_from_one_by_the_service() -> None:
    with kong(iter([REFUSED, REFUSED_BEHIND, UNROUTED])) as (url, _):
        observations = [observe_route(url, "/", {}) for _ in range(3)]
    assert [(observation.refused, observation.unrouted) for observation in observations] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert "from the service behind Kong" in str(observations[1])


def test_a_gateway_that_does_not_answer_serves_nothing() -> None:
    with kong(repeat(REFUSED)) as (url, _):
        pass
    observation = observe_route(url, "/", {})
    assert (observation.status, observation.unrouted, observation.refused) == (None, True, False)
    assert url in str(observation)


def gate(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "service": "rag-service",
        "proxy_urls": [url],
        "canary_host": "canary.internal",
        "canary_header": "X-Canary",
        "canary_secret": "s3cret",
        "public_paths": ["/api/v1/rag"],
        "span_seconds": 0.05,
        "guards": {"service": "id-1", "plugins": ["id-2"]},
    } | changes


def test_each_observation_is_a_new_connection_to_the_canary_route() -> None:
    with kong(repeat(REFUSED)) as (url, got):
        GuardedProvider().create(gate(url))
    assert len({address for _, _, address in got}) == len(got) >= 20
    path, headers, _ = got[0]
    assert (path, headers["Host"], headers["X-Canary"]) == ("/", "canary.internal", "s3cret")


def test_the_secret_is_not_among_the_outputs() -> None:
    with kong(repeat(REFUSED)) as (url, _):
        outs = [GuardedProvider().create(gate(url)).outs, GuardedProvider().update("id", {}, gate(url)).outs]
    for out in outs:
        assert out is not None
        assert "s3cret" not in json.dumps(out)
        assert not GuardedProvider().diff("id", out, gate(url)).changes


def test_an_open_service_is_an_error_that_says_what_to_do() -> None:
    with kong(repeat(OPEN)) as (url, _), pytest.raises(TimeoutError) as refusal:
        await_refused(gate(url), FakeTime(speed=100).clock)
    for words in ("'rag-service'", url, "found 404", "/plugins", "same command again"):
        assert words in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [{"guards": {"service": "id-1", "plugins": ["id-9"]}}, {"public_paths": ["/new"]}, {"proxy_urls": ["http://b"]}],
)
def test_other_guards_are_observed_again(change: dict[str, Any]) -> None:
    assert GuardedProvider().diff("id", gate("http://a"), gate("http://a", **change)).changes
    assert not GuardedProvider().diff("id", gate("http://a"), gate("http://a", canary_secret="new")).changes


def test_the_plugins_are_deleted_only_when_no_worker_serves_the_route() -> None:
    with kong(chain(repeat(REFUSED, 5), repeat(UNROUTED))) as (url, got):
        GuardedProvider().delete("id", gate(url))
    assert len(got) >= 5 + 20
    assert {path for path, _, _ in got} == {"/api/v1/rag"}


def test_a_destroy_goes_on_when_kong_is_gone() -> None:
    with kong(repeat(UNROUTED)) as (url, _):
        pass
    GuardedProvider().delete("id", gate(url))
