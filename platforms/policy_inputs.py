"""A workload in plain data: what its component hands over for people, previews and policies to judge."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from platforms.base import Rollout
from platforms.workload import Workload

CONTENTS = ("files", "secret_files")


def declared(workload: Workload, rollout: Rollout | None = None) -> dict[str, Any]:
    """Every field but the contents of files: no secret, and nothing that is known only later.

    `drained_before_stop` says whether the replicas leave traffic first, which is what a rollout is for.
    """
    plain = {field.name: _plain(getattr(workload, field.name)) for field in fields(workload)}
    paths = {kind: sorted(getattr(workload, kind)) for kind in CONTENTS}
    return {**plain, **paths, "drained_before_stop": rollout is not None}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool) else None
