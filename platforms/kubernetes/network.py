"""Which pods may connect: none, but for the connections that the workloads declare."""

from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.kubernetes.edge import public_ports
from platforms.workload import AllowedConnection, Workload

NODE_LOCAL_DNS = "169.254.20.10/32"
ANYWHERE = "0.0.0.0/0"
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
        egress.append({"to": [{"ipBlock": {"cidr": ANYWHERE}}], "ports": _tcp(list(workload.reaches_out))})
    if not egress:
        return []
    own = _policy(f"{name}-calls", cluster, pods=selector(name), egress=egress)
    return [own, *(_let_in(f"{to}-from-{name}", to, _pods(name), ports, cluster) for to, ports in wanted.items())]


def from_outside(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Clients outside may connect to public ports: only from the ingress controller's namespace where it is known."""
    public = [port.number for port in public_ports(workload, cluster)]
    if not public:
        return []
    controller = cluster.settings.edge_namespace if cluster.settings.edge == "ingress" else ""
    source = _namespace(controller) if controller else {"ipBlock": {"cidr": ANYWHERE}}
    return [_let_in(f"{name}-from-outside", name, source, public, cluster)]


def from_monitoring(target: AllowedConnection, cluster: Cluster) -> Manifest:
    """The namespace that the cluster's Prometheus runs in may connect to this port."""
    source = _namespace(cluster.settings.monitoring_namespace)
    return _let_in(f"{target.name}-watched-on-{target.port}", target.name, source, [target.port], cluster)


def _let_in(policy: str, workload: str, source: Manifest, ports: list[int], cluster: Cluster) -> Manifest:
    return _policy(policy, cluster, pods=selector(workload), ingress=[{"from": [source], "ports": _tcp(ports)}])


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


def _tcp(ports: list[int]) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(set(ports))]
