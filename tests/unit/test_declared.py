"""What a component hands over of a workload: all of it in plain data, and no secret."""

import asyncio
import json
from typing import Any

import pulumi
import pytest

from platforms.policy_inputs import declared
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


def test_files_are_handed_over_by_their_paths_alone() -> None:
    found = declared(WORKLOAD)
    assert (found["files"], found["secret_files"]) == (["/a", "/b"], ["/key"])
    assert "hunter2" not in json.dumps(found)


def test_everything_else_is_plain_data() -> None:
    found = declared(WORKLOAD)
    assert found["image"] == {"name": "rag", "context": "services/rag", "build_args": {}}
    assert found["readiness"] == {"port": 6333, "path": "/healthz"}
    assert found["ports"][0]["published"] == 16333
    assert json.loads(json.dumps(found)) == found


def test_what_is_known_only_later_is_left_out() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())  # another test may have ended its own
    later: Any = pulumi.Output.from_input("known later")
    assert declared(Workload(image="x", env={"URL": later}))["env"] == {"URL": None}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_component_hands_over_a_secret(stack: str) -> None:
    engine: Engine = run_program(stack)
    components = engine.of("QdrantCluster") + engine.of("KongGateway") + engine.of("RagService")
    components += engine.of("ObservabilityStack")
    assert len(components) == 4
    for component in components:
        assert component.inputs["workloads"]
        assert "made-" not in json.dumps(component.inputs)  # what the recording engine's secrets begin with
        assert SECRET not in json.dumps(component.raw)
