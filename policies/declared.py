"""Reading what components, containers and manifests declare; whatever is missing, or not known yet, reads as empty."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.rule import Subject

COMPONENTS = ("rag:components:*",)
QDRANT = ("rag:components:QdrantCluster",)
NODES = "qdrant"  # the workload of its nodes
KONG = ("rag:components:KongGateway",)
COLLECTION = ("*:ReplicatedCollection",)
CONTAINER = ("docker:index/container:Container",)
DOCKER_IMAGE = ("docker:index/remoteImage:RemoteImage",)
DOCKER_VOLUME = ("docker:index/volume:Volume",)
PODS = (
    *("kubernetes:core/v1:Pod", "kubernetes:apps/v1:StatefulSet", "kubernetes:apps/v1:Deployment"),
    *("kubernetes:apps/v1:DaemonSet", "kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob"),
)
STATEFUL = ("kubernetes:apps/v1:StatefulSet",)
SERVICE = ("kubernetes:core/v1:Service",)
CLAIM = ("kubernetes:core/v1:PersistentVolumeClaim",)


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return map(mapping, items(value))


def spec(subject: Subject) -> Mapping[str, Any]:
    """The spec of a manifest."""
    return mapping(subject.inputs.get("spec"))


def workloads(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and declaration of each workload of a component."""
    for name, workload in mapping(subject.inputs.get("workloads")).items():
        yield name, mapping(workload)


def workload(subject: Subject, name: str) -> Mapping[str, Any]:
    return dict(workloads(subject)).get(name, {})


def environment(declared: Mapping[str, Any]) -> dict[str, str]:
    """A container's or a workload's environment: a mapping, `NAME=value` lines, or a manifest's list."""
    env = declared.get("env", declared.get("envs"))
    if isinstance(env, Mapping):
        return {str(key): str(value) for key, value in env.items()}
    pairs = dict(entry.partition("=")[::2] for entry in items(env) if isinstance(entry, str))
    named = {str(e["name"]): str(e.get("value", "")) for e in items(env) if isinstance(e, Mapping) and "name" in e}
    return pairs | named


def template(subject: Subject) -> Mapping[str, Any]:
    """Metadata and spec of the pods that a manifest makes."""
    own = spec(subject)
    if subject.type.endswith(":Pod"):
        return {"metadata": subject.inputs.get("metadata"), "spec": own}
    job = mapping(mapping(own.get("jobTemplate")).get("spec"))
    return mapping((job or own).get("template"))


def pod(subject: Subject) -> Mapping[str, Any]:
    """The spec of those pods."""
    return mapping(template(subject).get("spec"))


def containers(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where it is, and every container of those pods, init containers included."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in mappings(pod(subject).get(kind)):
            yield subject.at(str(container.get("name", ""))), container


def labels(value: Any) -> Mapping[str, Any]:
    """The labels of something with metadata."""
    return mapping(mapping(mapping(value).get("metadata")).get("labels"))


def selects(selector: Any, found: Mapping[str, Any]) -> bool:
    """Whether a label selector (`matchLabels` only) chooses what has these labels; an empty one chooses everything."""
    wanted = mapping(mapping(selector).get("matchLabels"))
    return all(found.get(key) == value for key, value in wanted.items())
