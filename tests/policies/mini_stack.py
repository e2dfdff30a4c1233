"""A program for the real engine: a stack's resources by type, name and inputs, and no plugin that would make them.

Every one is registered as a component, whatever its type: a policy sees the same of it, and nothing can be made.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi import ResourceOptions, automation
from pulumi.automation.events import EngineEvent

from ops.parts import load_parts
from ops.stack import use_parts
from policies.rule import Subject
from policies.security.exception_rules import STACK

PROJECT = "policies"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """How a preview ended: exit code, rule -> what it said, and all that was printed."""

    code: int
    said: Mapping[str, list[str]]
    printed: str


def program(stack: list[Subject]) -> Callable[[], None]:
    """Registers the resources, in order."""

    def register() -> None:
        for subject in stack:
            if subject.type not in STACK:
                opts = ResourceOptions(protect=subject.protected)
                pulumi.ComponentResource(subject.type, subject.name, dict(subject.inputs), opts)

    return register


def preview(
    stack: list[Subject], folder: Path, packs: list[Path], config: Path, exceptions: list[Any] | None = None
) -> Preview:
    """`pulumi preview --policy-pack …` of the stack, with the real engine and a state of its own in the folder."""
    use_parts(load_parts())
    events: list[EngineEvent] = []
    opened = _opened(stack, folder)
    opened.set_config("policyExceptions", automation.ConfigValue(json.dumps(exceptions or [])))
    try:
        done = opened.preview(
            policy_packs=list(map(str, packs)),
            policy_pack_configs=[str(config)] * len(packs),
            on_event=events.append,
            color="never",
        )
        code, printed = 0, done.stdout
    except automation.CommandError as error:
        code, printed = 1, str(error)
    said: dict[str, list[str]] = {}
    for event in events:
        if found := event.policy_event:
            said.setdefault(found.policy_name, []).append(found.message)
    return Preview(code=code, said=said, printed=printed)


def _opened(stack: list[Subject], folder: Path) -> automation.Stack:
    (folder / "backend").mkdir(parents=True, exist_ok=True)
    return automation.create_or_select_stack(
        stack_name="mini",
        project_name=PROJECT,
        program=program(stack),
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(folder),
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
                "PULUMI_CONFIG_PASSPHRASE": "only a test",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
        ),
    )
