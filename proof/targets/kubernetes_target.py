"""A tested stack on Kubernetes: prod's stack file, smaller, in a namespace of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pulumi import automation

from ops.stack import OperatorError
from platforms.kubernetes.cluster import Cluster
from proof.targets.namespace import NAME, Namespace, lone_pod
from proof.targets.proof_stack import TOKEN_SECONDS, ProofStack, without_rate_limits
from proof.targets.target import Replica, slot
from proof.traffic import traffic_pod
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import TrafficPod
from qdrant_admin.api import path

# Autoscaling is off: a replica more would be taken for one that was replaced.
SMALL: Mapping[str, Any] = {
    "qdrantMemoryMib": "512",
    "qdrantStorageGib": "1",
    "qdrantSnapshotGib": "1",
    "kubernetesAutoscaling": "false",
    "kubernetesCpuReservedPercent": "15",  # three machines of two processors have room for all, and two of them nearly
}
# The stack file's own namespace, Secret and edge are the operator's.
SEPARATE: Mapping[str, Any] = {
    "kubernetesNamespace": "",
    "kubernetesCreateNamespace": "true",
    "kubernetesSecretName": "",
    "kubernetesEdge": "none",
    **dict.fromkeys(
        (
            *("kubernetesEdgeHost", "kubernetesEdgeIngressClass", "kubernetesEdgeNamespace"),
            *("kubernetesEdgeTlsSecret", "kubernetesEdgeTlsIssuer"),
        ),
        "",
    ),
}


@dataclass
class KubernetesTarget:
    """Pods of one namespace; clients are a pod in it."""

    stack: ProofStack

    @cached_property
    def namespace(self) -> Namespace:
        return Namespace(self.stack.prefix, self.stack.settings.kubernetes.context)

    @property
    def client_image(self) -> str:
        """The RAG service's image: the cluster can pull it, and it has Python and `requests`."""
        settings = self.stack.settings
        return Cluster(prefix=self.stack.prefix, settings=settings.kubernetes).image(str(settings.image.rag))

    def replicas(self) -> list[Replica]:
        """Pods that a controller replaces, terminating ones among them; replicas of a Deployment share its name."""
        return [
            Replica(name=replica_name(pod), id=pod.metadata.uid, created=pod.metadata.creation_timestamp.isoformat())
            for pod in self.namespace.pods()
            if owner(pod) in ("StatefulSet", "ReplicaSet") and pod.status.phase not in ("Failed", "Succeeded")
        ]

    def start_traffic(self, pace: Pace, ledger: Ledger, machine: str | None = None) -> TrafficPod:
        """On that machine, on any for ""; by default beside node 0, whose machine no fault removes."""
        pod = lone_pod(
            traffic_pod.NAME,
            self.client_image,
            traffic_pod.COMMAND,
            env=traffic_pod.ENVIRONMENT,
            files=traffic_pod.FILES,
            pull_secret=self.stack.settings.kubernetes.pull_secret,
            machine=self.namespace.machine_of("qdrant-0") if machine is None else machine,
        )
        endpoints = Endpoints(
            points_url="http://haproxy:6333" + path("collections", self.stack.outputs["collection"], "points"),
            api_key=self.stack.outputs["qdrantApiKey"],
            dimensions=self.stack.settings.collection.vector_size,
            gateway_url="http://kong:8000",
            token=self.stack.token(TOKEN_SECONDS),
            addresses=0,
            probes=self.stack.probes,
        )
        return TrafficPod(self.namespace, pod, endpoints, pace, ledger)

    def trust_forwarded_addresses(self) -> None:
        """Nothing to do: the gateway has no rate limits here."""

    def repair(self) -> None:
        """Controllers recreate pods; `up` with a refresh repairs the other objects."""
        self.stack.up(refresh=True)

    def purge(self) -> None:
        """Remove all of it through Pulumi; OperatorError when that fails: the namespace may be in use by others."""
        try:
            self.stack.down(purge=True)
        except automation.CommandError as error:
            prefix = self.stack.prefix
            raise OperatorError(
                f"expected the stack in namespace {prefix} to go, found: {error}. If nothing else uses it: "
                f"kubectl delete namespace {prefix}, then run the same again"
            ) from error


def owner(pod: Any) -> str:
    """The kind of controller that replaces the pod; empty for none."""
    return next((str(each.kind) for each in pod.metadata.owner_references or ()), "")


def replica_name(pod: Any) -> str:
    """Only a pod of a StatefulSet keeps its name when it is replaced; others go by their workload's."""
    return str(pod.metadata.name if owner(pod) == "StatefulSet" else pod.metadata.labels[NAME])


def described(name: str, prefix: str) -> KubernetesTarget:
    """A small stack in the namespace `prefix`, without rate limits; nothing is up yet."""
    stack = ProofStack.described(name, "prod", prefix, **SEPARATE, **SMALL)
    plain = ProofStack.described(name, "prod", prefix).settings
    stack.files = stack.files.with_config(**without_rate_limits(plain))
    return KubernetesTarget(stack)


def proof_kubernetes() -> KubernetesTarget:
    """The stack that `make chaos STACK=prod` and its like bring up; nothing is up yet."""
    return described("proof-prod", f"rag-proof{slot() or ''}")
