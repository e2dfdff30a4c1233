"""Which pods may connect: none, but for the connections that the workloads declare."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.kubernetes.edge import public_ports
from platforms.workload import AllowedConnection, Workload
from policies.invariants import METADATA_ADDRESSES

NODE_LOCAL_DNS = "169.254.20.10/32"
EVERY_ADDRESS = ("0.0.0.0/0", "::/0")
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")
METADATA = tuple(str(ip_network(address)) for address in METADATA_ADDRESSES if not ip_address(address).is_link_local)
NAMESPACE_NAME = "kubernetes.io/metadata.name"


def deny_all(cluster: Cluster) -> Manifest:
    """Nothing in, nothing out, for every pod of the namespace."""
    return _policy("default-deny", cluster, pods={}, ingress=[], egress=[])


def names(cluster: Cluster) -> Manifest:
    """Every pod may resolve names, at the cluster's own servers only."""
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    servers = [_namespace("kube-system"), {"ipBlock": {"cidr": NODE_LOCAL_DNS}}]
    return _policy("names", cluster, pods={}, egress=[{"to": servers, "ports": ports}])


def connections_of(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Both ends of each connection: egress of this workload, ingress of each of its neighbours."""
    wanted: dict[str, list[int]] = {}
    for connection in workload.connects_to:
        wanted.setdefault(connection.name, []).append(connection.port)
    egress = [{"to": [_pods(neighbour)], "ports": _tcp(ports)} for neighbour, ports in wanted.items()]
    if workload.reaches_out:
        egress.append({"to": _anywhere((*LINK_LOCAL, *METADATA)), "ports": _tcp(list(workload.reaches_out))})
    if not egress:
        return []
    own = _policy(f"{name}-calls", cluster, pods=selector(name), egress=egress)
    return [own, *(_let_in(f"{to}-from-{name}", to, [_pods(name)], ports, cluster) for to, ports in wanted.items())]


def from_outside(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Clients outside may connect to public ports: only from the ingress controller's namespace where it is known."""
    public = [port.number for port in public_ports(workload, cluster)]
    if not public:
        return []
    controller = cluster.settings.edge_namespace if cluster.settings.edge == "ingress" else ""
    # Nothing is left out here: a cloud's load balancer may check its targets from a link-local address.
    sources = [_namespace(controller)] if controller else _anywhere()
    return [_let_in(f"{name}-from-outside", name, sources, public, cluster)]


def from_monitoring(target: AllowedConnection, cluster: Cluster) -> Manifest:
    """The namespace that the cluster's Prometheus runs in may connect to this port."""
    sources = [_namespace(cluster.settings.monitoring_namespace)]
    return _let_in(f"{target.name}-watched-on-{target.port}", target.name, sources, [target.port], cluster)


def _let_in(policy: str, workload: str, sources: list[Manifest], ports: list[int], cluster: Cluster) -> Manifest:
    return _policy(policy, cluster, pods=selector(workload), ingress=[{"from": sources, "ports": _tcp(ports)}])


def _policy(
    name: str,
    cluster: Cluster,
    *,
    pods: dict[str, str],
    ingress: list[Manifest] | None = None,
    egress: list[Manifest] | None = None,
) -> Manifest:
    spec: Manifest = {"podSelector": {"matchLabels": pods} if pods else {}, "policyTypes": []}
    for kind, rules in (("Ingress", ingress), ("Egress", egress)):
        if rules is not None:
            spec["policyTypes"].append(kind)
            spec |= {kind.lower(): rules} if rules else {}
    return {"metadata": cluster.metadata(name), "spec": spec}


def _pods(name: str) -> Manifest:
    return {"podSelector": {"matchLabels": selector(name)}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def _anywhere(without: Sequence[str] = ()) -> list[Manifest]:
    """Every pod and every address but these: a block of addresses has the pods in it for Calico, and not for Cilium."""
    peers: list[Manifest] = [{"namespaceSelector": {}}]
    for every in EVERY_ADDRESS:
        exceptions = [network for network in without if (":" in network) == (":" in every)]
        peers.append({"ipBlock": {"cidr": every, **({"except": exceptions} if exceptions else {})}})
    return peers


def _tcp(ports: list[int]) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(set(ports))]
