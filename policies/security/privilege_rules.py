"""What a process may do on the machine it runs on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.declared import COMPONENTS, CONTAINER, PODS, containers, items, mapping, mappings, pod, workloads
from policies.rule import Setting, Subject, Violation, Violations, rule

RUNNING = (*CONTAINER, *PODS)
PRIVILEGES = "no-new-privileges"


@rule(
    on=RUNNING,
    reason="A privileged container is root on the machine, with all of the machine's devices.",
    remedy="Leave `privileged` out, and give the capability that is needed.",
)
def containers_are_unprivileged(subject: Subject) -> Violations:
    """No container is privileged."""
    for where, _, security in _contexts(subject):
        if security.get("privileged"):
            yield Violation(where, "is privileged; leave it out and add the one capability that is needed")


@rule(
    on=RUNNING,
    reason="In the machine's own network a container listens on all of its addresses and reaches all of its services.",
    remedy="Leave host networking and host namespaces out; publish the port that is needed.",
)
def containers_have_a_network_of_their_own(subject: Subject) -> Violations:
    """No container shares the network, processes or memory of the machine."""
    spec = pod(subject)
    shared = [f"{key} is host" for key in ("networkMode", "pidMode", "ipcMode") if subject.inputs.get(key) == "host"]
    shared += [f"{key} is true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for fault in shared:
        yield Violation(subject.name, f"{fault}; leave it out and publish the port that is needed")
    for where, container, _ in _contexts(subject):
        for port in mappings(container.get("ports")):
            if port.get("hostPort"):
                yield Violation(where, f"hostPort {port['hostPort']} is the node's own; use a Service")


@rule(
    on=(*COMPONENTS, *RUNNING),
    reason="Root in a container is one kernel bug away from root on the machine, and owns what it mounts.",
    remedy="Name a user that is not 0: `user` of a Docker container, `runAsUser` and `runAsNonRoot: true` of a pod.",
    named=Setting(False, "on Docker too, ask for a user by name and do not trust the image to have one"),
)
def processes_do_not_run_as_root(subject: Subject, *, named: bool) -> Violations:
    """No process runs as root."""
    for name, workload in workloads(subject):
        if workload.get("user") == 0:
            yield Violation(subject.at(name), "user is 0; write another number, such as 1000")
    if subject.type in CONTAINER:
        user = str(subject.inputs.get("user", ""))
        if user.partition(":")[0] in ("0", "root") or (named and not user):
            found = user or "left to the image"
            yield Violation(subject.name, f"user is {found}; name another, as in user='1000:1000'")
    shared = mapping(pod(subject).get("securityContext"))
    for where, _, security in _contexts(subject) if subject.type in PODS else ():
        effective = {**shared, **security}
        if effective.get("runAsUser") == 0 or effective.get("runAsNonRoot") is not True:
            found = f"runAsUser {effective.get('runAsUser')}, runAsNonRoot {effective.get('runAsNonRoot')}"
            yield Violation(where, f"{found}; write runAsNonRoot: true and a runAsUser above 0")


@rule(
    on=RUNNING,
    reason="Docker gives a container 14 capabilities, from writing raw packets to making devices; a server needs none.",
    remedy="Drop `ALL`; add only what the image's start needs, of those that the setting `may_add` names.",
    may_add=Setting(
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "NET_BIND_SERVICE"],
        "capabilities that may be added again; with Pod Security `restricted` NET_BIND_SERVICE alone",
    ),
)
def capabilities_are_dropped(subject: Subject, *, may_add: Sequence[str]) -> Violations:
    """Every container drops all capabilities and adds few."""
    for where, _, security in _contexts(subject):
        given = mapping(security.get("capabilities"))
        dropped = items(given.get("drops", given.get("drop")))
        added = {str(name).removeprefix("CAP_") for name in items(given.get("adds", given.get("add")))}
        if "ALL" not in dropped:
            yield Violation(where, f"drops {list(dropped) or 'no capability'}; drop ALL")
        if added - set(may_add):
            yield Violation(where, f"adds {', '.join(sorted(added - set(may_add)))}; only {', '.join(may_add)} may be")


def with_no_new_privileges(subject: Subject) -> dict[str, Any] | None:
    """The same container, with the option; nothing when it has it, or is no Docker container."""
    given = list(items(subject.inputs.get("securityOpts")))
    if subject.type not in CONTAINER or any(PRIVILEGES in str(option) for option in given):
        return None
    return {"securityOpts": [*given, PRIVILEGES]}


@rule(
    on=RUNNING,
    reason="A program with the setuid bit makes root of any user that can run it.",
    remedy="Write `security_opts=['no-new-privileges']` for Docker, `allowPrivilegeEscalation: false` for a pod. On "
    "Docker the pack adds it by itself, and the preview shows it.",
    level="remediate",
    remediation=with_no_new_privileges,
)
def containers_gain_no_privileges(subject: Subject) -> Violations:
    """No process gets more privileges than it was started with."""
    if subject.type in CONTAINER and with_no_new_privileges(subject):
        yield Violation(subject.name, f"securityOpts lacks {PRIVILEGES}; add it")
    for where, _, security in _contexts(subject):
        if subject.type in PODS and security.get("allowPrivilegeEscalation") is not False:
            yield Violation(where, "allowPrivilegeEscalation is not false; write false")


def _contexts(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Where, the container, and its security context; a Docker container has that at its top level."""
    if subject.type in CONTAINER:
        yield subject.name, subject.inputs, subject.inputs
    for where, container in containers(subject):
        yield where, container, mapping(container.get("securityContext"))
