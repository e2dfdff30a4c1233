"""What Kubernetes can refuse by itself, asked of the manifests before it has to."""

from policies.declared import PODS, containers, labels, mapping, mappings, pod
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
