"""The changes that are rolled on Kubernetes: a setting of each component that clients call.

Nothing is excused, because what clients call has a second replica; rag-ingest, which has none, they do not. Images are
left to `make roll` on Docker: here another one would have to be pushed to a registry, and it replaces the same pods in
the same way.
"""

from collections.abc import Mapping
from typing import Any

from proof.experiments.changes import QDRANT, Change, other
from proof.targets.docker_stack import OwnStack


def a_mebibyte_off(stack: OwnStack) -> Mapping[str, Any]:
    """One more or one less, in turn: it suits every stack file, and no role behaves otherwise for it."""
    return {"ragMemoryMib": str(stack.files.settings().rag.memory_mib ^ 1)}


POD_CHANGES = (
    Change(
        name="qdrant-setting",
        title="A setting of all Qdrant nodes",
        keys=other("qdrantLogLevel", "INFO", "WARN"),
        replaces=QDRANT,
    ),
    Change(
        name="haproxy-setting",
        title="A setting of the balancers",
        keys=other("qdrantQueryTimeoutMs", "800", "801"),
        replaces=("haproxy", "haproxy"),
    ),
    Change(
        name="kong-setting",
        title="A setting of the gateway itself",
        keys=other("gatewayFloodBurst", "100000", "100001"),
        replaces=("kong", "kong"),
    ),
    Change(
        name="gateway-setting",
        title="A setting of the gateway's routes, which is a file here",
        keys=other("gatewayRateLimitPerMinute", "100000", "99999"),
        replaces=("kong", "kong"),
    ),
    Change(
        name="rag-setting",
        title="A setting of all RAG roles",
        keys=a_mebibyte_off,
        replaces=("rag-service",) * 2 + ("rag-llamaindex-query",) * 2 + ("rag-ingest",),
    ),
)
