"""A stack that an earlier release left is taken over as it is: nothing of it is made, replaced or deleted."""

from dataclasses import replace

import pytest

from tests.program.engine import Engine
from tests.program.recorded_state import DYNAMIC, planned, recorded


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_earlier_release_s_state_plans_no_step(stack: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(stack)
    assert planned(recorded(stack), engine.requests) == []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_step_would_be_seen(stack: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(stack)
    old = recorded(stack)
    assert planned(old, engine.requests) == []
    moved = [replace(each, urn=f"{each.urn}-moved") if each.type.endswith("Settled") else each for each in old]
    assert {step.split()[0] for step in planned(moved, engine.requests)} == {"create", "delete"}
    changed = [replace(each, inputs={**each.inputs, "name": "other"}) for each in old]
    assert any(DYNAMIC in step and "the provider sees" in step for step in planned(changed, engine.requests))
    assert any(DYNAMIC not in step for step in planned(changed, engine.requests))
