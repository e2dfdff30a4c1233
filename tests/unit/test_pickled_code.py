"""State that one version of Python wrote and another is to work with."""

import json
from functools import cache
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from ops.pickled_code import refuse_foreign_code, unwrap_pickler
from providers.collection import CollectionProvider
from providers.wire import python_minor
from tests.unit.inline_provider import inline


@cache
def serialized() -> dict[str, str]:
    """Each provider as the engine keeps it."""
    return {"code": serialize_provider(inline()), "name": serialize_provider(CollectionProvider())}


def recorded(provider: str, python: str | None, *, secret: bool = False) -> list[dict[str, Any]]:
    kept: Any = serialized()[provider]
    if secret:
        kept = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(kept)}
    outputs = {"python": python} if python else {}
    return [{"urn": "urn:pulumi:dev::p::t::thing", "inputs": {"__provider": kept}, "outputs": outputs}]


@pytest.mark.parametrize("secret", [True, False])
def test_code_of_another_python_is_refused_with_what_to_do(secret: bool) -> None:
    reason = refuse_foreign_code(recorded("code", "3.9", secret=secret))
    assert f"expected Python 3.9, whose code the state holds for thing, found {python_minor()}" in reason
    assert "run make up once with Python 3.9" in reason


def test_code_of_an_unknown_python_is_refused() -> None:
    assert "Python of the version that wrote it" in refuse_foreign_code(recorded("code", None))


def test_code_of_this_python_and_names_of_any_are_accepted() -> None:
    assert refuse_foreign_code(recorded("code", python_minor())) == ""
    assert refuse_foreign_code(recorded("name", "3.9")) == ""
    assert refuse_foreign_code([{"urn": "u", "type": "docker:index/container:Container", "inputs": {}}]) == ""


def test_a_program_may_run_a_thousand_times_in_a_process() -> None:
    """The SDK nests one call more around the pickler each time; without the remedy some hundreds are too many."""
    for _ in range(1000):
        unwrap_pickler()
        serialize_provider(CollectionProvider())
