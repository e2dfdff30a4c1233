"""A stack's state as a program left it, kept as data, and what an update by today's program would do to it."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dill

from tests.program.engine import ROOT, Engine, Request

DATA = Path(__file__).with_name("data")
DYNAMIC = "pulumi-python:dynamic"
PROVIDER = "__provider"
ROOT_STACK = "pulumi:pulumi:Stack"  # the SDK registers it, once in a process
# Their inputs are for previews and policies to read; a change of them touches nothing that runs.
FOR_READERS = ("rag:", "pulumi:")
# The tag of an image that is built here is a hash of the service's own files: another one is another release of it.
RELEASE = re.compile(r"(rag-platform/rag):[0-9a-f]{12}")
# Grafana's files hold docs/runbooks.md and the texts of panels: rewording them restarts Grafana once, and nothing else.
REWORDED = "grafana"
# What a provider had observed when it wrote the state; the recording engine runs none.
OBSERVED = {"physical_replication_factor": 2, "previous": [], "racing": False}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One resource of the state: its URN, its type, its inputs with secrets unmarked."""

    urn: str
    type: str
    inputs: Mapping[str, Any]


def record(stack: str, engine: Engine) -> None:
    """Write what the program asked for; paths of this checkout are left out."""
    found = [{"urn": each.urn, "type": each.type, "inputs": _comparable(each.inputs)} for each in engine.requests]
    (DATA / f"recorded_{stack}.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def recorded(stack: str) -> list[Recorded]:
    """The state of the stack as the recording engine kept it."""
    return [Recorded(**each) for each in json.loads((DATA / f"recorded_{stack}.json").read_text())]


def planned(old: Sequence[Recorded], new: Iterable[Request]) -> list[str]:
    """Creates, deletes, and changes of what runs, each as `operation urn: inputs that differ`; empty for none."""
    before = {each.urn: each for each in old if each.type != ROOT_STACK}
    after = {each.urn: each for each in new if each.type != ROOT_STACK}
    steps = [f"delete {urn}" for urn in before.keys() - after.keys()]
    steps += [f"create {urn}" for urn in after.keys() - before.keys()]
    for urn in before.keys() & after.keys():
        if before[urn].type.startswith(FOR_READERS) or urn.rpartition("::")[2].startswith(REWORDED):
            continue
        if changed := _changed(before[urn], after[urn]):
            steps.append(f"change {urn}: {', '.join(changed)}")
    return sorted(steps)


def _changed(old: Recorded, new: Request) -> list[str]:
    if old.type.startswith(DYNAMIC):
        return _changed_by_provider(old, new)
    now = _comparable(new.inputs)
    return sorted(key for key in {*old.inputs, *now} if old.inputs.get(key) != now.get(key))


def _comparable(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs wherever the checkout is, and whatever release of the service is built in it."""
    text = RELEASE.sub(r"\1:release", json.dumps(inputs)).replace(f"{ROOT}/", "checkout/")
    return dict(json.loads(text))


def _changed_by_provider(old: Recorded, new: Request) -> list[str]:
    """What the provider that the *state* names says: it must still be importable, and see no difference."""
    provider = dill.loads(base64.b64decode(old.inputs[PROVIDER]))
    result = provider.diff("id", {**OBSERVED, **old.inputs}, dict(new.inputs))
    return [f"the provider sees a difference, replacing {result.replaces}"] if result.changes else []
