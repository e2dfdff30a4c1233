"""What a process may use of the machine."""

from policies.declared import COMPONENTS, CONTAINER, PODS, containers, mapping, workloads
from policies.rule import Subject, Violation, Violations, rule


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
