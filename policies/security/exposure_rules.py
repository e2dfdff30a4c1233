"""Who can reach what: ports of this machine, the edge of a cluster, and the port that Qdrant's peers trust."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.declared import CONTAINER, PODS, containers, items, labels, mapping, selects, template
from policies.rule import Subject, Violation, Violations, rule

PEERS = 6335
INGRESS = ("kubernetes:networking.k8s.io/v1:Ingress",)
SERVICE = ("kubernetes:core/v1:Service",)
NETWORK_POLICY = ("kubernetes:networking.k8s.io/v1:NetworkPolicy",)
PLAIN_HTTP = {80, 8000, 8080}


@rule(
    on=CONTAINER,
    reason="Docker publishes past the firewall: a port without an address is open to all who reach the machine.",
    remedy="Publish on 127.0.0.1, or do not publish: neighbours reach each other on the network.",
)
def ports_stay_on_this_machine(subject: Subject) -> Violations:
    """No container publishes a port beyond this machine."""
    for port in map(mapping, items(subject.inputs.get("ports"))):
        address = port.get("ip", "0.0.0.0")  # noqa: S104  the engine's own default
        if not str(address).startswith("127.") and address != "::1":
            number = port.get("external", port.get("internal"))
            yield Violation(subject.name, f"port {number} is published on {address}; write ip='127.0.0.1'")
    if subject.inputs.get("publishAllPorts"):
        yield Violation(subject.name, "publishAllPorts is true; name the ports, on 127.0.0.1")


@rule(
    on=(*INGRESS, *SERVICE),
    reason="Tokens and documents travel through the edge; without TLS everybody on the way reads them.",
    remedy="Give an Ingress `tls` for each host; let a Service of type LoadBalancer offer no plain-HTTP port.",
)
def the_edge_speaks_tls(subject: Subject) -> Violations:
    """What is reached from outside the cluster is reached by TLS."""
    spec = mapping(subject.inputs.get("spec"))
    if subject.type in INGRESS:
        covered = {host for entry in items(spec.get("tls")) for host in items(mapping(entry).get("hosts"))}
        hosts = {mapping(entry).get("host") for entry in items(spec.get("rules"))}
        if not items(spec.get("tls")) or (hosts - {None}) - covered:
            yield Violation(subject.name, "serves hosts without TLS; add them under tls with a certificate's secret")
    elif spec.get("type") in ("LoadBalancer", "NodePort"):
        for port in map(mapping, items(spec.get("ports"))):
            if port.get("port") in PLAIN_HTTP:
                yield Violation(
                    subject.name, f"port {port['port']} is plain HTTP, open to the outside; offer 443 alone"
                )


@rule(
    on=(*PODS, *NETWORK_POLICY),
    whole_stack=True,
    reason="Whoever reaches port 6335 is a peer: Qdrant asks no key there, and hands out and takes every point.",
    remedy="Add a NetworkPolicy that selects the nodes and lets only the nodes themselves to 6335.",
)
def the_peer_port_is_fenced(subjects: Sequence[Subject]) -> Violations:
    """Only Qdrant's own nodes reach the port of its peers."""
    policies = [subject for subject in subjects if subject.type in NETWORK_POLICY]
    for subject in subjects:
        if PEERS not in _listens_on(subject):
            continue
        found = labels(template(subject))
        ours = [policy for policy in policies if _fences(policy, found)]
        if not ours:
            yield Violation(subject.name, f"no NetworkPolicy selects its pods; add one that lets only them to {PEERS}")
        for policy in ours:
            if any(not _from_nodes_only(entry, found) for entry in _admitting(policy)):
                yield Violation(policy.name, f"lets others to {PEERS}; let only pods with the nodes' labels there")


def _listens_on(subject: Subject) -> set[Any]:
    return {
        mapping(port).get("containerPort")
        for container in containers(subject)
        for port in items(container.get("ports"))
    }


def _fences(policy: Subject, found: Mapping[str, Any]) -> bool:
    spec = mapping(policy.inputs.get("spec"))
    incoming = "Ingress" in items(spec.get("policyTypes")) or "policyTypes" not in spec
    return incoming and selects(spec.get("podSelector"), found)


def _admitting(policy: Subject) -> Iterator[Mapping[str, Any]]:
    """The entries that let somebody to the port of the peers; one without ports lets to all of them."""
    for entry in map(mapping, items(mapping(policy.inputs.get("spec")).get("ingress"))):
        ports = [mapping(port) for port in items(entry.get("ports"))]
        if not ports or any(port.get("port") in (PEERS, str(PEERS), "peers", "p2p") for port in ports):
            yield entry


def _from_nodes_only(entry: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether every peer it names is a pod with labels that the nodes have; a named namespace is wider."""
    sources = [mapping(source) for source in items(entry.get("from"))]
    return bool(sources) and all(
        set(source) == {"podSelector"}
        and mapping(source["podSelector"]).get("matchLabels")
        and selects(source["podSelector"], found)
        for source in sources
    )


RULES = (ports_stay_on_this_machine, the_edge_speaks_tls, the_peer_port_is_fenced)
