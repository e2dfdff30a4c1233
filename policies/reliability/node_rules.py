"""How a node of Qdrant starts, stops and is known to its peers."""

from policies.declared import NODES, PODS, QDRANT, STATEFUL, containers, environment, items, pod, spec, workload
from policies.rule import Setting, Subject, Violation, Violations, rule

PEER_ID = "QDRANT__CLUSTER__PEER_ID"


@rule(
    on=QDRANT,
    reason="A node that stops while it has traffic takes acknowledged writes with it: up to 244 of 1,896 were lost.",
    remedy="Give the platform a `Rollout` with the nodes, as `QdrantCluster` does: it takes a node out of the balancer "
    "before it is stopped.",
)
def nodes_are_drained_before_they_stop(subject: Subject) -> Violations:
    """A node leaves traffic before it is stopped."""
    nodes = workload(subject, NODES)
    if nodes and nodes.get("drained_before_stop") is not True:
        yield Violation(subject.at(NODES), "is stopped with its traffic; run it with a rollout that drains it first")


@rule(
    on=QDRANT,
    reason="A node that was asked to stop gently goes on to answer on connections that are kept alive, acknowledges "
    "writes and loses them.",
    remedy="Leave `grace_seconds` of the nodes at 0: drained first, then stopped hard.",
    most_seconds=Setting(0, "the longest grace period"),
)
def nodes_do_not_linger(subject: Subject, *, most_seconds: int) -> Violations:
    """A node that is asked to stop stops at once."""
    grace = workload(subject, NODES).get("grace_seconds", 0)
    if grace > most_seconds:
        yield Violation(subject.at(NODES), f"may linger for {grace:g} s after a stop; write {most_seconds}")


@rule(
    on=(*QDRANT, *PODS),
    reason="A wiped node that comes back under its old id never joins: its consensus stops without an error and "
    "its replicas are still reported as active.",
    remedy="Leave `QDRANT__CLUSTER__PEER_ID` out: a node draws an id when its disk is new, and keeps it there.",
)
def peers_draw_their_own_ids(subject: Subject) -> Violations:
    """No node is given its peer id."""
    nodes = workload(subject, NODES)
    named = [(subject.at(NODES), nodes)] if nodes else []
    for where, declared in [*named, *((subject.name, container) for _, container in containers(subject))]:
        words = " ".join(map(str, [*items(declared.get("command")), *items(declared.get("args"))]))
        if PEER_ID in environment(declared) or "--peer-id" in words:
            yield Violation(where, f"has a fixed peer id; leave {PEER_ID} out")


@rule(
    on=STATEFUL,
    reason="Replicas on one machine are lost with one machine.",
    remedy="Give the pods `topologySpreadConstraints`, or `podAntiAffinity`, over `kubernetes.io/hostname`.",
)
def replicas_are_spread(subject: Subject) -> Violations:
    """The replicas of a StatefulSet stand on different machines."""
    affinity = (pod(subject).get("affinity") or {}).get("podAntiAffinity")
    spread = affinity or pod(subject).get("topologySpreadConstraints")
    if int(spec(subject).get("replicas", 1)) > 1 and not spread:
        yield Violation(subject.name, "its pods may all run on one machine; spread them over kubernetes.io/hostname")
