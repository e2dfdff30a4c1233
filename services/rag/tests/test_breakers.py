"""A dependency that fails is left alone, and asked again by one call at a time."""

from types import SimpleNamespace

import pytest
from rag.breakers import Breaker, Breakers, make_breakers
from rag.failures import Refused, Unavailable
from rag.metrics import Metrics

CLOSED, HALF_OPEN, OPEN = 0, 1, 2


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def four(clock: SimpleNamespace, metrics: Metrics) -> Breakers:
    return make_breakers(5, 10, metrics)


def fail(breaker: Breaker, times: int, error: Exception | None = None) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable), breaker.guard():
            raise error or Unavailable("qdrant", "expected an answer, found none")


def test_five_failures_in_a_row_open_and_four_do_not(four: Breakers) -> None:
    fail(four.qdrant, 4)
    assert four.qdrant.state == CLOSED
    fail(four.qdrant, 1)
    assert four.qdrant.state == OPEN
    assert four.llm.state == CLOSED


def test_a_success_between_failures_keeps_it_closed(four: Breakers) -> None:
    fail(four.qdrant, 4)
    with four.qdrant.guard():
        pass
    fail(four.qdrant, 4)
    assert four.qdrant.state == CLOSED


def test_a_refusal_is_no_failure(four: Breakers, metrics: Metrics) -> None:
    fail(four.qdrant, 20, Refused("qdrant", "expected success, found 404"))
    assert four.qdrant.state == CLOSED
    assert metrics.registry.get_sample_value("circuit_breaker_failures_total", {"name": "qdrant"}) == 0


def test_an_open_breaker_refuses_without_trying_and_reports_when_to_retry(
    four: Breakers, clock: SimpleNamespace
) -> None:
    fail(four.qdrant, 5)
    clock.now += 3.5
    with pytest.raises(Unavailable) as refused, four.qdrant.guard():
        pytest.fail("went in")
    assert refused.value.retry_after_seconds == 7


def test_after_ten_seconds_one_trial_goes_in_and_the_others_wait_for_it(four: Breakers, clock: SimpleNamespace) -> None:
    fail(four.qdrant, 5)
    clock.now += 10.1
    assert four.qdrant.state == HALF_OPEN
    with four.qdrant.guard():
        with pytest.raises(Unavailable), four.qdrant.guard():
            pytest.fail("a second trial went in")
        assert four.qdrant.state == HALF_OPEN
    assert four.qdrant.state == CLOSED


def test_a_failed_trial_opens_it_again(four: Breakers, clock: SimpleNamespace) -> None:
    fail(four.qdrant, 5)
    clock.now += 10.1
    fail(four.qdrant, 1)
    assert four.qdrant.state == OPEN


@pytest.mark.parametrize("name", ["qdrant", "embedding", "llm", "query"])
def test_all_four_are_exported_from_the_start(four: Breakers, metrics: Metrics, name: str) -> None:
    value = metrics.registry.get_sample_value
    assert value("circuit_breaker_state", {"name": name}) == CLOSED
    assert value("circuit_breaker_failures_total", {"name": name}) == 0
    fail(getattr(four, name), 5)
    assert value("circuit_breaker_state", {"name": name}) == OPEN
    assert value("circuit_breaker_failures_total", {"name": name}) == 5
