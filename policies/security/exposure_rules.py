"""What can be reached: ports of this machine, the edge of a cluster, and the port that Qdrant's peers trust."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.declared import (
    CONTAINER,
    PODS,
    SERVICE,
    containers,
    items,
    labels,
    mapping,
    mappings,
    selects,
    spec,
    template,
)
from policies.invariants import open_metadata
from policies.rule import Subject, Violation, Violations, rule

PEERS = 6335
INGRESS = ("kubernetes:networking.k8s.io/v1:Ingress",)
NETWORK_POLICY = ("kubernetes:networking.k8s.io/v1:NetworkPolicy",)
PLAIN_HTTP = {80, 8000, 8080}


@rule(
    on=CONTAINER,
    reason="Docker publishes past the firewall: a port without an address is open to all who reach the machine.",
    remedy="Publish on 127.0.0.1, or do not publish: neighbours reach each other on the network.",
)
def ports_stay_on_this_machine(subject: Subject) -> Violations:
    """No container publishes a port beyond this machine."""
    for port in mappings(subject.inputs.get("ports")):
        address = port.get("ip", "0.0.0.0")  # noqa: S104  the engine's own default
        if not str(address).startswith("127.") and address != "::1":
            number = port.get("external", port.get("internal"))
            yield Violation(subject.name, f"port {number} is published on {address}; write ip='127.0.0.1'")
    if subject.inputs.get("publishAllPorts"):
        yield Violation(subject.name, "publishAllPorts is true; name the ports, on 127.0.0.1")


@rule(
    on=(*INGRESS, *SERVICE),
    reason="Tokens and documents travel through the edge; without TLS every machine on the way can read them.",
    remedy="Give an Ingress `tls` for each host; let a Service of type LoadBalancer offer no plain-HTTP port.",
)
def the_edge_speaks_tls(subject: Subject) -> Violations:
    """What is reached from outside the cluster is reached by TLS."""
    own = spec(subject)
    if subject.type in INGRESS:
        covered = {host for entry in mappings(own.get("tls")) for host in items(entry.get("hosts"))}
        hosts = {entry.get("host") for entry in mappings(own.get("rules"))}
        if not items(own.get("tls")) or (hosts - {None}) - covered:
            yield Violation(subject.name, "serves hosts without TLS; add them under tls with a certificate's secret")
    elif own.get("type") in ("LoadBalancer", "NodePort"):
        for number in (port.get("port") for port in mappings(own.get("ports"))):
            if number in PLAIN_HTTP:
                yield Violation(subject.name, f"port {number} is plain HTTP, open to the outside; offer 443 alone")


@rule(
    on=(*PODS, *NETWORK_POLICY),
    whole_stack=True,
    reason="Any client of port 6335 is a peer: Qdrant asks for no key there, and sends and accepts every point.",
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


@rule(
    on=NETWORK_POLICY,
    reason="A cloud's metadata service gives the machine's credentials to any process that asks from the machine: one "
    "request that a service can be made to send is enough.",
    remedy="Name the pods under `to`; for addresses outside use `ipBlock` with the metadata networks under `except`, "
    "at least `169.254.0.0/16`.",
)
def metadata_services_stay_out_of_reach(subject: Subject) -> Violations:
    """No NetworkPolicy lets a pod reach the metadata service of its machine."""
    for entry in mappings(spec(subject).get("egress")):
        if not items(entry.get("to")):
            yield Violation(subject.name, "egress without `to` reaches every address; name the peers")
        for block in (mapping(peer.get("ipBlock")) for peer in mappings(entry.get("to"))):
            if block and (left := open_metadata(str(block.get("cidr")), items(block.get("except")))):
                yield Violation(subject.name, f"lets pods reach {', '.join(left)}; add them under except")


def _listens_on(subject: Subject) -> set[Any]:
    listed = (port for _, container in containers(subject) for port in mappings(container.get("ports")))
    return {port.get("containerPort") for port in listed}


def _fences(policy: Subject, found: Mapping[str, Any]) -> bool:
    incoming = "Ingress" in items(spec(policy).get("policyTypes")) or "policyTypes" not in spec(policy)
    return incoming and selects(spec(policy).get("podSelector"), found)


def _admitting(policy: Subject) -> Iterator[Mapping[str, Any]]:
    """The entries that open the port of the peers; one without ports opens all of them."""
    for entry in mappings(spec(policy).get("ingress")):
        ports = list(mappings(entry.get("ports")))
        if not ports or any(port.get("port") in (PEERS, str(PEERS), "peers", "p2p") for port in ports):
            yield entry


def _from_nodes_only(entry: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether every peer it names is a pod with labels that the nodes have; a named namespace is wider."""
    sources = list(mappings(entry.get("from")))
    return bool(sources) and all(
        set(source) == {"podSelector"}
        and mapping(source["podSelector"]).get("matchLabels")
        and selects(source["podSelector"], found)
        for source in sources
    )
