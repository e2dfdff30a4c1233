"""The changes that `make roll STACK=prod` makes on Kubernetes: a setting of each component that clients call.

Nothing is excused: what clients call has a second replica; they do not call rag-ingest, which has none. Images are
left to Docker: here another one would have to be pushed to a registry, and replaces the same pods in the same way.
"""

from collections.abc import Mapping
from typing import Any

from proof.experiments.changes import QDRANT, up_with, up_with_other
from proof.experiments.experiment import Experiment
from proof.targets.kubernetes_target import KubernetesTarget
from proof.targets.proof_stack import ProofStack


def a_mebibyte_off(stack: ProofStack) -> Mapping[str, Any]:
    """One more or one less, in turn: valid in every stack file, and without effect on any role."""
    return {"ragMemoryMib": str(stack.settings.rag.memory_mib ^ 1)}


# fmt: off
POD_CHANGES: tuple[Experiment[KubernetesTarget], ...] = (
    Experiment("qdrant-setting", "A setting of all Qdrant nodes", up_with_other("qdrantLogLevel", "INFO", "WARN"),
               replaces=QDRANT),
    Experiment("haproxy-setting", "A setting of the balancers", up_with_other("qdrantQueryTimeoutMs", "800", "801"),
               replaces=("haproxy", "haproxy")),
    Experiment("kong-setting", "A setting of the gateway itself",
               up_with_other("gatewayFloodBurst", "100000", "100001"), replaces=("kong", "kong")),
    Experiment("gateway-setting", "A setting of the gateway's routes, which is a file here",
               up_with_other("gatewayRateLimitPerMinute", "100000", "99999"), replaces=("kong", "kong")),
    Experiment("rag-setting", "A setting of all RAG roles", up_with(a_mebibyte_off),
               replaces=("rag-service",) * 2 + ("rag-llamaindex-query",) * 2 + ("rag-ingest",)),
)
# fmt: on
