"""A stack's state as an earlier release left it, kept as data, and what an update by today's program would lose."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dill

from tests.program.engine import ROOT, Engine, Request

DATA = Path(__file__).with_name("data")
DYNAMIC = "pulumi-python:dynamic"
PROVIDER = "__provider"
# What a provider had observed when it wrote the state; the recording engine runs none.
OBSERVED = {"physical_replication_factor": 2, "previous": [], "racing": False}
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
# Kubernetes refuses a change of any other field of a StatefulSet's spec, and the provider then replaces the whole.
CHANGEABLE = {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}
# A changed input of one of these is another disk, another network under it, or another secret.
IRREPLACEABLE = (
    *("docker:index/volume:Volume", "docker:index/network:Network", "random:", "kubernetes:core/v1:Namespace"),
    *("kubernetes:core/v1:PersistentVolumeClaim", STATEFUL_SET),
)


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


def losses(old: Sequence[Recorded], new: Iterable[Request]) -> list[str]:
    """Deletes and replacements of what holds data or a secret, each as `operation urn`; empty for none."""
    after = {each.urn: each for each in new}
    found = []
    for each in old:
        dynamic = each.type.startswith(DYNAMIC)
        if not dynamic and not each.type.startswith(IRREPLACEABLE):
            continue
        if each.urn not in after:
            found.append(f"delete {each.urn}")
        elif _replaced_by_provider(each, after[each.urn]) if dynamic else _replaced(each, after[each.urn]):
            found.append(f"replace {each.urn}")
    return sorted(found)


def _replaced(old: Recorded, new: Request) -> bool:
    return _lasting(old.type, old.inputs) != _lasting(old.type, _comparable(new.inputs))


def _lasting(kind: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs whose change would replace the resource."""
    if kind.startswith("kubernetes:") and kind != STATEFUL_SET:
        return {"name": inputs["metadata"]["name"], "spec": inputs.get("spec", {})}
    if kind != STATEFUL_SET:
        return inputs
    lasting = {key: value for key, value in inputs["spec"].items() if key not in CHANGEABLE}
    return {"name": inputs["metadata"]["name"], "spec": lasting}


def _comparable(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs wherever the checkout is."""
    return dict(json.loads(json.dumps(inputs).replace(f"{ROOT}/", "checkout/")))


def _replaced_by_provider(old: Recorded, new: Request) -> bool:
    """What the provider that the *state* names says: it must still be importable, and replace nothing."""
    provider = dill.loads(base64.b64decode(old.inputs[PROVIDER]))
    return bool(provider.diff("id", {**OBSERVED, **old.inputs}, dict(new.inputs)).replaces)
