"""`up` looks at the gateway's entities, and creates again what its database has lost."""

import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import CommandError, CommandResult
from rich.console import Console

from ops import lifecycle
from ops.stack import OperatorError
from tests.unit.served import Answer, Asked, served

KINDS = ("routes", "plugins", "services", "upstreams", "consumers")


class Stack:
    """A stack with one route, whose `up` creates what its state lacks, and fails where Kong lacks what it records."""

    def __init__(self, url: str, *, changes_the_route: bool = False) -> None:
        self.asked: list[str] = []
        self.recorded, self.held = {"route-1"}, set[str]()
        self._url, self._changes = url, changes_the_route

    def answer(self, asked: Asked) -> Answer:
        kind = asked.path.strip("/")
        assert kind in KINDS
        return Answer(200, {"data": [{"id": each} for each in self.held] if kind == "routes" else []})

    def up(self, *, on_event: Callable[[Any], Any], **options: Any) -> str:
        self.asked.append(f"up {options.get('replace')}")
        if self._changes and not self.recorded <= self.held:
            raise CommandError(CommandResult(stdout="", stderr="PATCH /routes/route-1: 404", code=255))
        if not self.recorded:
            self.recorded = {"route-2"}
            self.held |= self.recorded
        return "done"

    def refresh(self, *, target: list[str], on_event: Callable[[Any], Any], **options: Any) -> None:
        self.asked.append(f"refresh {target}")
        self.recorded -= {urn.removeprefix("urn-") for urn in target}

    def outputs(self) -> dict[str, Any]:
        return {"gatewayAdminUrl": SimpleNamespace(value=self._url), "gatewayAdminToken": SimpleNamespace(value="t")}

    def export_stack(self) -> Any:
        found = [{"type": "kong:index/route:Route", "id": each, "urn": f"urn-{each}"} for each in self.recorded]
        return SimpleNamespace(deployment={"resources": found})


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack("")
    with served(stack.answer) as stack._url:
        yield stack


def up(stack: Stack) -> str:
    done, _ = lifecycle._up(stack, Console(file=io.StringIO()), replace=["kong-0"])  # type: ignore[arg-type]
    return str(done)


def test_entities_that_the_database_has_lost_are_created_again(stack: Stack) -> None:
    assert up(stack) == "done"
    assert stack.asked == ["up ['kong-0']", "refresh ['urn-route-1']", "up None"]
    assert stack.held == {"route-2"}


def test_an_up_that_fails_because_of_them_is_run_again(stack: Stack) -> None:
    stack._changes = True
    assert up(stack) == "done"
    assert stack.asked == ["up ['kong-0']", "refresh ['urn-route-1']", "up ['kong-0']"]


def test_a_whole_database_is_left_alone(stack: Stack) -> None:
    stack.held = {"route-1"}
    assert up(stack) == "done"
    assert stack.asked == ["up ['kong-0']"]


def test_an_up_that_fails_for_another_reason_stays_failed(stack: Stack) -> None:
    stack.held, stack._changes, stack.recorded = {"route-1"}, True, {"route-1"}
    stack.up = _broken  # type: ignore[method-assign]
    with pytest.raises(OperatorError, match="no disk"):
        up(stack)


def _broken(**_: Any) -> str:
    raise CommandError(CommandResult(stdout="", stderr="no disk", code=255))


def test_a_stack_without_an_admin_api_is_not_asked(stack: Stack) -> None:
    stack._url = ""
    assert up(stack) == "done"
    assert stack.asked == ["up ['kong-0']"]
