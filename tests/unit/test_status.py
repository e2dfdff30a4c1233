"""What `make status` finds broken names the command that mends it."""

from typing import Any

import pytest

from ops.parts import Parts
from ops.status import endpoint_list
from tests.unit.served import Answer, Asked, served

NO_ROUTE = Answer(404, {"message": "no Route matched with those values"})
REFUSED = Answer(401, {"message": "Unauthorized"})


def shown(**outputs: Any) -> tuple[str, bool]:
    lines, well = endpoint_list(outputs, Parts())
    return " ".join(line.strip() for line in lines), well


def state(answer: Answer) -> tuple[str, bool]:
    with served(lambda _: answer) as url:
        return shown(gatewayUrl=url)


def test_a_gateway_that_refuses_calls_without_a_token_is_well() -> None:
    assert state(REFUSED)[1]


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        (NO_ROUTE, "make up mends it"),
        (Answer(200, {}), "make up REFRESH=1 mends it"),
        (Answer(429, {"message": "The upstream server responded with 429"}), "look again"),
    ],
)
def test_a_gateway_that_does_not_refuse_names_what_mends_it(answer: Answer, command: str) -> None:
    text, well = state(answer)
    assert command in text
    assert not well


def test_each_service_is_asked_for_by_its_own_path() -> None:
    def answer(asked: Asked) -> Answer:
        return REFUSED if asked.path == "/api/v1/notes" else NO_ROUTE

    with served(answer) as url:
        assert shown(gatewayUrl=url, routes={"notes": "/api/v1/notes"})[1]
        text, well = shown(gatewayUrl=url, routes={"notes": "/api/v1/notes", "gone": "/gone"})
    assert f"gone  {url}/gone" in text
    assert not well


def test_an_endpoint_that_does_not_answer_names_what_mends_it() -> None:
    with served(lambda _: Answer(500, {})) as url:
        assert "answers 500; make up mends it" in shown(qdrantUrl=url)[0]
    assert "make up mends it" in shown(qdrantUrl=url)[0]


def test_the_admin_api_is_well_for_who_has_its_token() -> None:
    def admin(asked: Asked) -> Answer:
        return Answer(200 if asked.headers.get("kong-admin-token") == "t" else 401, {})

    with served(admin) as url:
        assert shown(gatewayAdminUrl=url, gatewayAdminToken="t")[1]
        assert "answers 401" in shown(gatewayAdminUrl=url, gatewayAdminToken="")[0]
