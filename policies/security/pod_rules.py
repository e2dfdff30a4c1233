"""Pods that Kubernetes takes, and the bounds of every process."""

from policies.declared import COMPONENTS, CONTAINER, PODS, containers, labels, mapping, mappings, pod, workloads
from policies.rule import Subject, Violation, Violations, rule

NAMESPACE = ("kubernetes:core/v1:Namespace",)
ENFORCE = "pod-security.kubernetes.io/enforce"
HARMLESS_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
}


@rule(
    on=(*PODS, *NAMESPACE),
    reason="A pod that Pod Security `restricted` refuses is refused only when it is made: the rollout hangs half-way.",
    remedy="Label the namespace `pod-security.kubernetes.io/enforce: restricted`; give pods a seccomp profile "
    "(`RuntimeDefault`) and no volume of the node. Root, capabilities and escalation have rules of their own.",
)
def pods_are_restricted(subject: Subject) -> Violations:
    """Namespaces enforce Pod Security `restricted`, and pods keep to it."""
    if subject.type in NAMESPACE:
        if labels(subject.inputs).get(ENFORCE) != "restricted":
            yield Violation(subject.name, f"{ENFORCE} is not restricted; add the label")
        return
    profile = mapping(mapping(pod(subject).get("securityContext")).get("seccompProfile"))
    for where, container in containers(subject):
        own = mapping(mapping(container.get("securityContext")).get("seccompProfile")) or profile
        if own.get("type") not in ("RuntimeDefault", "Localhost"):
            yield Violation(where, "has no seccomp profile; write seccompProfile: {type: RuntimeDefault}")
    for volume in mappings(pod(subject).get("volumes")):
        for kind in set(volume) - {"name"} - HARMLESS_VOLUMES:
            yield Violation(subject.name, f"volume {volume.get('name')} is a {kind}; claim a persistent volume")


@rule(
    on=(*COMPONENTS, *CONTAINER, *PODS),
    reason="One process without a bound takes the memory of its neighbours, and the kernel then kills any of them.",
    remedy="Set `resources` of the workload: memory in MiB and CPUs above 0. In a manifest: `requests.cpu`, "
    "`requests.memory` and `limits.memory`; on a Docker container: `memory`.",
)
def memory_and_cpu_are_bounded(subject: Subject) -> Violations:
    """Every process has a bound, and on Kubernetes a request."""
    for name, workload in workloads(subject):
        resources = mapping(workload.get("resources"))
        for key in ("memory_mib", "cpus"):
            if not resources.get(key):
                yield Violation(subject.at(name), f"resources.{key} is {resources.get(key)}; set a number above 0")
    if subject.type in CONTAINER and not subject.inputs.get("memory"):
        yield Violation(subject.name, "memory is not bounded; set memory to some MiB")
    for where, container in containers(subject):
        resources = mapping(container.get("resources"))
        for kind, key in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if not mapping(resources.get(kind)).get(key):
                yield Violation(where, f"resources.{kind}.{key} is missing; set it")
