"""A prod stack to be broken: smaller, and in a namespace of its own, so that nobody's own stack is touched."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pulumi import automation

from ops.parts import load_parts
from ops.stack import OperatorError, StackFiles, use_parts
from platforms.kubernetes.cluster import Cluster
from proof.targets.docker_stack import OwnStack, Replica, limiting_nobody, own_console
from proof.targets.namespace import NAME, Namespace

# And of a size of its own: one replica more would be taken for one that was replaced.
SMALL: Mapping[str, Any] = {
    "qdrantMemoryMib": "512",
    "qdrantStorageGib": "1",
    "qdrantSnapshotGib": "1",
    "kubernetesAutoscaling": "false",
    "kubernetesCpuReservedPercent": "15",  # three machines of two processors have room for all, and two of them nearly
}
# What the stack file says of where the operator's own stack is, and how it is reached, is not for this one.
OF_ITS_OWN: Mapping[str, Any] = {
    "kubernetesNamespace": "",
    "kubernetesCreateNamespace": "true",
    "kubernetesSecretName": "",
    "kubernetesEdge": "none",
}


class OwnNamespace(OwnStack):
    """A described stack on Kubernetes, up or not; `prefix` is its namespace."""

    @cached_property
    def space(self) -> Namespace:
        return Namespace(self.prefix, self.files.settings().kubernetes.context)

    @property
    def client_image(self) -> str:
        """An image that is there already, and has what clients need: Python and `requests`."""
        settings = self.files.settings()
        return Cluster(prefix=self.prefix, settings=settings.kubernetes).image(str(settings.image.rag))

    def replicas(self) -> list[Replica]:
        """Pods that somebody replaces, those about to go among them; replicas of a Deployment share its name."""
        return [
            Replica(name=named_as(pod), id=pod.metadata.uid, born=pod.metadata.creation_timestamp.isoformat())
            for pod in self.space.pods()
            if owner(pod) in ("StatefulSet", "ReplicaSet") and pod.status.phase not in ("Failed", "Succeeded")
        ]

    def trust_this_machine(self) -> None:
        """Nothing to do: no client stands for others where nobody is limited."""

    def bring_back(self) -> None:
        """Pods come back by themselves; what does not is looked for, and repaired."""
        self.up(refresh=True)

    def clear_away(self) -> None:
        """Remove all of it; what cannot be removed so is left to its owner: a namespace may be somebody else's."""
        try:
            self.down(purge=True)
        except automation.CommandError as error:
            raise OperatorError(
                f"expected the stack in namespace {self.prefix} to go, found: {error}. If nobody else uses it: "
                f"kubectl delete namespace {self.prefix}, then run the same again"
            ) from error


def owner(pod: Any) -> str:
    """The kind of what replaces it; empty for nobody."""
    return next((str(each.kind) for each in pod.metadata.owner_references or ()), "")


def named_as(pod: Any) -> str:
    """What its fellows know it by: only a pod of a StatefulSet has a name of its own."""
    return str(pod.metadata.name if owner(pod) == "StatefulSet" else pod.metadata.labels[NAME])


def described(name: str, prefix: str) -> OwnNamespace:
    """A stack of that name, as yet only described; its clients are few pods, and its gateway limits nobody."""
    parts = load_parts()
    use_parts(parts)
    files = StackFiles(name=name, source="prod", parts=parts)
    return OwnNamespace(
        files=files.with_config(namePrefix=prefix, **OF_ITS_OWN, **SMALL, **limiting_nobody(files.settings())),
        console=own_console(),
        prefix=prefix,
    )
