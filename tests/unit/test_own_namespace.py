"""Which pods are replicas, and what they are called."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from ops.parts import Parts
from ops.stack import StackFiles
from proof.targets.docker_stack import Replica
from proof.targets.kubernetes_stack import OwnNamespace, described
from proof.targets.namespace import NAME


def pod(name: str, workload: str, kind: str = "", phase: str = "Running") -> Any:
    owners = [SimpleNamespace(kind=kind)] if kind else None
    born = datetime(2026, 1, 1, tzinfo=UTC)
    return SimpleNamespace(
        metadata=SimpleNamespace(
            name=name, uid=f"id of {name}", labels={NAME: workload}, owner_references=owners, creation_timestamp=born
        ),
        status=SimpleNamespace(phase=phase),
    )


def test_replicas_are_pods_that_somebody_replaces_by_the_name_their_fellows_know() -> None:
    stack = OwnNamespace(
        files=StackFiles(name="proof", source="prod", parts=Parts()), console=Console(quiet=True), prefix="proof"
    )
    pods = [
        pod("qdrant-1", "qdrant", "StatefulSet"),
        pod("kong-6f9-x2", "kong", "ReplicaSet"),
        pod("kong-migrations-1", "kong-migrations", "Job"),
        pod("kong-6f9-evicted", "kong", "ReplicaSet", phase="Failed"),
        pod("traffic", "traffic"),
    ]
    stack.__dict__["space"] = SimpleNamespace(pods=lambda: pods)
    born = "2026-01-01T00:00:00+00:00"
    assert stack.replicas() == [
        Replica(name="qdrant-1", id="id of qdrant-1", born=born),
        Replica(name="kong", id="id of kong-6f9-x2", born=born),
    ]


def test_the_stack_that_is_tried_is_small_and_stays_as_large_as_it_is() -> None:
    settings = described("proof-prod", "rag-proof").files.settings()
    assert (settings.qdrant.storage_gib, settings.qdrant.snapshot_gib) == (1, 1)
    assert not settings.kubernetes.autoscaling
