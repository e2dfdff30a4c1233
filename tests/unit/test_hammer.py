"""The hammer of the live tests tells the gateway's refusal from that of the service behind an open route."""

import pytest

from tests.live.hammer import Hammer
from tests.unit.served import Answer, served

BEHIND = {"X-Kong-Upstream-Latency": "3"}


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (Answer(401, {"message": "Unauthorized"}), "401"),
        (Answer(401, {"error": "unauthorized"}, BEHIND), "passed"),
        (Answer(200, {"results": []}, BEHIND), "passed"),
        (Answer(429, {"message": "API rate limit exceeded"}), "passed"),
        (Answer(429, {"message": "Too many requests"}), "429"),
    ],
)
def test_a_call_counts_as_passed_when_it_got_behind_the_gateway(answer: Answer, counted: str) -> None:
    with served(lambda _: answer) as url, Hammer(url) as hammer:
        hammer.seen_at_least(counted, 1)
    assert set(hammer.answers) == {counted}
