"""Which pods are replicas, and what they are called."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ops.parts import Parts
from ops.stack import StackFiles
from proof.targets.kubernetes_target import KubernetesTarget, described
from proof.targets.namespace import NAME
from proof.targets.proof_stack import ProofStack
from proof.targets.target import Replica


def pod(name: str, workload: str, kind: str = "", phase: str = "Running") -> Any:
    owners = [SimpleNamespace(kind=kind)] if kind else None
    born = datetime(2026, 1, 1, tzinfo=UTC)
    return SimpleNamespace(
        metadata=SimpleNamespace(
            name=name, uid=f"id of {name}", labels={NAME: workload}, owner_references=owners, creation_timestamp=born
        ),
        status=SimpleNamespace(phase=phase),
    )


def test_replicas_are_pods_with_a_controller_under_the_name_that_a_replacement_has() -> None:
    target = KubernetesTarget(ProofStack(StackFiles(name="proof", source="prod", parts=Parts())))
    pods = [
        pod("qdrant-1", "qdrant", "StatefulSet"),
        pod("kong-6f9-x2", "kong", "ReplicaSet"),
        pod("kong-migrations-1", "kong-migrations", "Job"),
        pod("kong-6f9-evicted", "kong", "ReplicaSet", phase="Failed"),
        pod("traffic", "traffic"),
    ]
    target.__dict__["namespace"] = SimpleNamespace(pods=lambda: pods)
    born = "2026-01-01T00:00:00+00:00"
    assert target.replicas() == [
        Replica(name="qdrant-1", id="id of qdrant-1", created=born),
        Replica(name="kong", id="id of kong-6f9-x2", created=born),
    ]


def test_the_tested_stack_is_small_and_does_not_scale_by_itself() -> None:
    settings = described("proof-prod", "rag-proof").stack.settings
    assert (settings.qdrant.storage_gib, settings.qdrant.snapshot_gib) == (1, 1)
    assert not settings.kubernetes.autoscaling
