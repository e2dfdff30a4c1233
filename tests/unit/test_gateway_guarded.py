"""The gate opens only when Kong itself has refused for long enough, and never for another reason."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, cycle, repeat
from typing import Any

import pytest

from access.kong import RouteObservation, Timeouts, observe_route, watch
from providers.guarded import GuardedProvider

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
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


def monitoring_targets(sightings: Iterator[RouteObservation], timeouts: Timeouts) -> tuple[int, float]:
    """How many looks it took, and how long."""
    clock, looks = Clock(), 0

    def see() -> RouteObservation:
        nonlocal looks
        looks += 1
        return next(sightings)

    watch(see, lambda seen: seen.refused, timeouts, clock.now, clock.pause)
    return looks, clock.seconds


def seen(answer: Answer) -> RouteObservation:
    status, body, headers = answer
    return RouteObservation(status, str(body.get("message", body)), bool(headers))


def test_the_gate_opens_after_refusals_that_outlast_a_workers_timer() -> None:
    looks, seconds = monitoring_targets(repeat(seen(REFUSED)), Timeouts(span_seconds=11, looks=20))
    assert looks >= 20
    assert seconds >= 11


def test_one_open_worker_starts_the_watch_again() -> None:
    sightings = chain(repeat(seen(REFUSED), 19), [seen(OPEN)], repeat(seen(REFUSED)))
    looks, _ = monitoring_targets(sightings, Timeouts(span_seconds=2, looks=20))
    assert looks >= 19 + 1 + 20


def test_a_flood_makes_the_watch_longer_and_not_void() -> None:
    flood = RouteObservation(429, "The upstream server responded with 429")
    looks, _ = monitoring_targets(cycle([flood, flood, seen(REFUSED)]), Timeouts(span_seconds=2, looks=20))
    assert looks >= 3 * 20


@pytest.mark.parametrize(
    "sightings",
    [
        cycle([seen(REFUSED)] * 9 + [seen(OPEN)]),  # one worker of ten never loads the plugin
        repeat(seen(REFUSED_BEHIND)),
        repeat(seen(UNROUTED)),
        repeat(RouteObservation(401, "No credentials found for given 'kid'")),
        repeat(RouteObservation(None, "connection refused")),
        repeat(RouteObservation(429, "The upstream server responded with 429")),
        cycle([seen(REFUSED)] * 9 + [RouteObservation(429, "API rate limit exceeded")]),  # jwt let the tenth pass
    ],
)
def test_the_gate_stays_shut_for_anything_but_kongs_own_refusal(sightings: Iterator[RouteObservation]) -> None:
    with pytest.raises(TimeoutError, match="waited 60 s, last saw"):
        monitoring_targets(sightings, Timeouts(span_seconds=3))


def test_a_look_tells_kongs_refusal_from_the_services() -> None:
    with kong(iter([REFUSED, REFUSED_BEHIND, UNROUTED])) as (url, _):
        sightings = [observe_route(url, "/", {}) for _ in range(3)]
    assert [(sighting.refused, sighting.unrouted) for sighting in sightings] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert "from the service behind Kong" in str(sightings[1])


def test_a_silent_gateway_serves_nothing() -> None:
    with kong(repeat(REFUSED)) as (url, _):
        pass
    sighting = observe_route(url, "/", {})
    assert (sighting.status, sighting.unrouted, sighting.refused) == (None, True, False)
    assert url in str(sighting)


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


def test_each_look_is_a_new_connection_that_asks_for_the_canary() -> None:
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


def test_an_open_service_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient: Callable[..., None] = lambda see, wanted, timeouts: watch(  # noqa: E731
        see, wanted, Timeouts(span_seconds=0.05, timeout_seconds=0.1)
    )
    monkeypatch.setattr("access.kong.watch", impatient)
    with kong(repeat(OPEN)) as (url, _), pytest.raises(TimeoutError) as refusal:
        GuardedProvider().create(gate(url))
    for words in ("'rag-service'", url, "last saw 404", "/plugins", "same command again"):
        assert words in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [{"guards": {"service": "id-1", "plugins": ["id-9"]}}, {"public_paths": ["/new"]}, {"proxy_urls": ["http://b"]}],
)
def test_other_guards_are_looked_at_again(change: dict[str, Any]) -> None:
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
