"""The prod stack that faults are tried on, and its clients: a namespace of its own, and a pod in it."""

import os
from typing import cast

from proof.targets.docker_stack import TOKEN_SECONDS, OwnStack
from proof.targets.kubernetes_stack import OwnNamespace, described
from proof.targets.namespace import lone_pod
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import COMMAND, ENVIRONMENT, FILES, NAME, TrafficPod


def proof_namespace() -> OwnNamespace:
    """The proof's own stack, as yet only described."""
    slot = int(os.environ.get("RAG_TEST_SLOT", "0"))
    return described("proof-prod", f"rag-proof{slot or ''}")


def endpoints_of(stack: OwnStack) -> Endpoints:
    """Where pods of the stack's namespace go in."""
    return Endpoints(
        points_url=f"http://haproxy:6333/collections/{stack.outputs['collection']}/points",
        api_key=stack.outputs["qdrantApiKey"],
        dimensions=stack.files.settings().collection.vector_size,
        gateway_url="http://kong:8000",
        token=stack.token(TOKEN_SECONDS),
        addresses=0,
    )


def traffic_pod(stack: OwnStack, pace: Pace, ledger: Ledger) -> TrafficPod:
    """Clients in a pod beside node 0, on whose machine no fault is made but to the pods."""
    own = cast("OwnNamespace", stack)
    return clients_in_a_pod(own, pace, ledger, own.space.machine_of("qdrant-0"))


def clients_in_a_pod(stack: OwnNamespace, pace: Pace, ledger: Ledger, machine: str = "") -> TrafficPod:
    """The same on a machine of one's choice, or on any."""
    pod = lone_pod(
        NAME,
        stack.client_image,
        COMMAND,
        env=ENVIRONMENT,
        files=FILES,
        pull_secret=stack.files.settings().kubernetes.pull_secret,
        machine=machine,
    )
    return TrafficPod(stack.space, pod, endpoints_of(stack), pace, ledger)
