"""A stack that an earlier release left is taken over: no disk, secret or collection of it is replaced or deleted."""

from dataclasses import replace

import pytest

from tests.program.engine import Engine
from tests.program.recorded_state import DYNAMIC, IRREPLACEABLE, Recorded, losses, recorded


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_earlier_release_s_data_and_secrets_are_taken_over(stack: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(stack)
    assert losses(recorded(stack), engine.requests) == []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_loss_would_be_seen(stack: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(stack)
    old = recorded(stack)
    kept = [each for each in old if each.type.startswith((DYNAMIC, *IRREPLACEABLE))]
    renamed = [replace(each, urn=f"{each.urn}-renamed") for each in old]
    assert losses(renamed, engine.requests) == sorted(f"delete {each.urn}-renamed" for each in kept)
    other = [_with_another_identity(each) for each in old]
    replaced = losses(other, engine.requests)
    assert {each.urn for each in kept if not each.type.startswith(DYNAMIC)} <= {step.split()[1] for step in replaced}
    assert any(f"{DYNAMIC}/providers:ReplicatedCollection" in step for step in replaced)


def _with_another_identity(each: Recorded) -> Recorded:
    inputs = {**each.inputs, "name": "another"}
    if "metadata" in inputs:
        inputs["metadata"] = {**inputs["metadata"], "name": "another"}
    return replace(each, inputs=inputs)
