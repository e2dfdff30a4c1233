"""A component in plain data: the inputs by which people, previews and policies judge it."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from platforms.workload import Workload

CONTENTS = ("files", "secret_files", "secret_env")


def policy_inputs(
    settings: BaseModel | Mapping[str, Any], workloads: Mapping[str, Workload], rollouts: Collection[str] = ()
) -> dict[str, Any]:
    """The settings, and under `workloads` every field but the contents of files: no secret, nothing known only later.

    `rollouts` names the workloads that are run with a `Rollout`: they are `drained_before_stop`.
    """
    plain = {
        name: _workload_inputs(workload) | {"drained_before_stop": name in rollouts}
        for name, workload in workloads.items()
    }
    chosen = settings.model_dump() if isinstance(settings, BaseModel) else settings
    return {**chosen, "workloads": plain}


def _workload_inputs(workload: Workload) -> dict[str, Any]:
    paths = {kind: sorted(getattr(workload, kind)) for kind in CONTENTS}
    return {field.name: _plain(getattr(workload, field.name)) for field in fields(workload)} | paths


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool) else None
