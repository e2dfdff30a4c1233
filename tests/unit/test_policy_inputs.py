"""A component's policy inputs: all of its workloads in plain data, and no secret."""

import asyncio
import json
from typing import Any

import pulumi
import pytest
from pydantic import BaseModel

from platforms.policy_inputs import policy_inputs
from platforms.workload import HttpProbe, ImageBuild, Port, Workload
from tests.program.engine import SECRET, Engine, run_program

WORKLOAD = Workload(
    image=ImageBuild(name="rag", context="services/rag"),
    ports=(Port(number=6333, published=16333),),
    env={"LEVEL": "INFO"},
    files={"/b": "plain", "/a": "plain"},
    secret_files={"/key": "hunter2"},
    readiness=HttpProbe(port=6333, path="/healthz"),
)


class Chosen(BaseModel):
    """Settings of a component."""

    nodes: int = 3


def inputs(workload: Workload) -> dict[str, Any]:
    return dict(policy_inputs(Chosen(), {"rag": workload})["workloads"]["rag"])


def test_settings_stand_beside_the_workloads_and_a_rollout_is_declared() -> None:
    found = policy_inputs(Chosen(), {"rag": WORKLOAD, "other": WORKLOAD}, rollouts=("rag",))
    assert found["nodes"] == 3
    assert {name: each["drained_before_stop"] for name, each in found["workloads"].items()} == {
        "rag": True,
        "other": False,
    }


def test_of_files_only_the_paths_are_declared() -> None:
    found = inputs(WORKLOAD)
    assert (found["files"], found["secret_files"]) == (["/a", "/b"], ["/key"])
    assert "hunter2" not in json.dumps(found)


def test_everything_else_is_plain_data() -> None:
    found = inputs(WORKLOAD)
    assert found["image"] == {"name": "rag", "context": "services/rag", "build_args": {}}
    assert found["readiness"] == {"port": 6333, "path": "/healthz"}
    assert found["ports"][0]["published"] == 16333
    assert json.loads(json.dumps(found)) == found


def test_what_is_known_only_later_is_left_out() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())  # another test may have ended its own
    later: Any = pulumi.Output.from_input("known later")
    assert inputs(Workload(image="x", env={"URL": later}))["env"] == {"URL": None}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_component_declares_a_secret(stack: str) -> None:
    engine: Engine = run_program(stack)
    components = engine.of("QdrantCluster") + engine.of("KongGateway") + engine.of(":Services")
    components += engine.of("ObservabilityStack")
    assert len(components) == 4
    for component in components:
        assert component.inputs["workloads"]
        assert "made-" not in json.dumps(component.inputs)  # what the recording engine's secrets begin with
        assert SECRET not in json.dumps(component.raw)
