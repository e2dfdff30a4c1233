"""What `make status` finds broken names the command that mends it."""

import io

import pytest
from rich.console import Console

from ops.parts import Parts
from ops.status import endpoint_table
from tests.unit.served import Answer, Asked, served

NO_ROUTE = Answer(404, {"message": "no Route matched with those values"})
REFUSED = Answer(401, {"message": "Unauthorized"})


def shown(**outputs: str) -> tuple[str, bool]:
    table, well = endpoint_table(outputs, Parts())
    text = io.StringIO()
    Console(file=text, width=400).print(table)
    return text.getvalue(), well


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
