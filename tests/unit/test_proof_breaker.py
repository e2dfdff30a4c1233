"""A breaker is judged by its answers; each promise has answers that break it."""

from typing import Any

import pytest
import requests

from proof.measure.breaker import Answered, Observed, judge
from proof.measure.embedder import StoppableEmbedder
from proof.measure.hops import BALANCED, BARE, FRESH, REMEMBERED, Timed, by_hop, by_way
from slo.promises import Promises

OPEN = Answered(status=503, text="embedding is not available: it failed repeatedly", retry_after="9", seconds=0.004)
FAILED = Answered(status=503, text="embedding is not available: ConnectError", retry_after="5", seconds=0.02)
GOOD = Answered(status=200, text="", retry_after="", seconds=0.02)
SLOW = Answered(status=503, text=OPEN.text, retry_after="9", seconds=0.02)


def kept(**changed: Any) -> list[bool]:
    observed: dict[str, Any] = {
        "failing": [FAILED] * 5 + [OPEN],
        "open": [OPEN] * 50,
        "probes": 1,
        "closing_seconds": 9.0,
        "after": [GOOD],
    }
    return [verdict.kept for verdict in judge(Observed(**(observed | changed)), Promises.read().breaker)]


def test_a_breaker_that_opens_and_closes_keeps_every_promise() -> None:
    assert kept() == [True] * 5


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"failing": [FAILED] * 6 + [OPEN]}, 0),
        ({"failing": [FAILED] * 30}, 0),
        ({"failing": []}, 0),
        ({"open": [OPEN] * 49 + [GOOD]}, 1),
        ({"open": [FAILED] * 50}, 1),
        ({"open": [OPEN] * 40 + [SLOW] * 10}, 2),
        ({"probes": 2}, 3),
        ({"probes": 0}, 3),
        ({"closing_seconds": None}, 3),
        ({"after": [GOOD, FAILED]}, 4),
    ],
)
def test_each_promise_of_a_breaker_can_be_broken(changed: dict[str, Any], broken: int) -> None:
    assert kept(**changed)[broken] is False


def test_an_embedder_that_was_stopped_refuses_and_comes_back_where_it_was() -> None:
    embedder = StoppableEmbedder("127.0.0.1", 8)
    embedder.start()
    ask: dict[str, Any] = {"url": f"{embedder.url}/api/embed", "json": {"input": ["a", "b"]}, "timeout": 5}
    assert [len(vector) for vector in requests.post(**ask).json()["embeddings"]] == [8, 8]
    embedder.stop()
    with pytest.raises(requests.ConnectionError):
        requests.post(**ask)
    embedder.start()
    assert requests.post(**ask).status_code == 200
    assert embedder.asked == 2
    embedder.stop()


def test_what_a_hop_adds_is_the_difference_and_the_largest_stands_first() -> None:
    times = {
        BARE: [Timed(total=2)] * 9,
        BALANCED: [Timed(total=3)] * 9,
        REMEMBERED: [Timed(total=10, behind_kong=8)] * 9,
        FRESH: [Timed(total=17, behind_kong=15)] * 9,
    }
    assert [(row.name, row.cells[0]) for row in by_hop(times).rows] == [
        ("embedding", "7.0 ms"),
        ("RAG service", "5.0 ms"),
        ("Qdrant", "2.0 ms"),
        ("Kong", "2.0 ms"),
        ("HAProxy", "1.0 ms"),
    ]
    assert [row.cells[2] for row in by_way(times).rows] == ["1.00", "1.50", "5.00", "8.50"]
