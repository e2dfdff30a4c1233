"""Who may call whom: nobody, but for the wires that the workloads declare."""

from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.kubernetes.edge import public_ports
from platforms.workload import Call, Workload

NODE_LOCAL_DNS = "169.254.20.10/32"
ANYWHERE = "0.0.0.0/0"
INSIDE = "kubernetes.io/metadata.name"


def deny_all(cluster: Cluster) -> Manifest:
    """Nothing in, nothing out, for every pod of the namespace."""
    return _policy("default-deny", cluster, pods={}, ingress=[], egress=[])


def names(cluster: Cluster) -> Manifest:
    """Everybody may ask for names, and only the cluster's own servers."""
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    servers = [
        {"namespaceSelector": {"matchLabels": {INSIDE: "kube-system"}}},
        {"ipBlock": {"cidr": NODE_LOCAL_DNS}},
    ]
    return _policy("names", cluster, pods={}, egress=[{"to": servers, "ports": ports}])


def calls_of(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Both ends of each wire: this workload may leave to its neighbours, and each of them lets it in."""
    wanted: dict[str, list[int]] = {}
    for call in workload.calls:
        wanted.setdefault(call.name, []).append(call.port)
    egress = [{"to": [_pods(callee)], "ports": _tcp(ports)} for callee, ports in wanted.items()]
    if workload.reaches_out:
        egress.append({"to": [{"ipBlock": {"cidr": ANYWHERE}}], "ports": _tcp(list(workload.reaches_out))})
    if not egress:
        return []
    endpoints = [
        _policy(
            f"{callee}-from-{name}",
            cluster,
            pods=selector(callee),
            ingress=[{"from": [_pods(name)], "ports": _tcp(ports)}],
        )
        for callee, ports in wanted.items()
    ]
    return [_policy(f"{name}-calls", cluster, pods=selector(name), egress=egress), *endpoints]


def from_outside(name: str, workload: Workload, cluster: Cluster) -> list[Manifest]:
    """The edge lets the world in to public ports: through the controller's namespace where it is known."""
    public = [port.number for port in public_ports(workload, cluster)]
    if not public:
        return []
    inside = cluster.settings.edge_namespace
    known = cluster.settings.edge == "ingress" and inside
    source = {"namespaceSelector": {"matchLabels": {INSIDE: inside}}} if known else {"ipBlock": {"cidr": ANYWHERE}}
    rule = {"from": [source], "ports": _tcp(public)}
    return [_policy(f"{name}-from-outside", cluster, pods=selector(name), ingress=[rule])]


def from_watchers(call: Call, cluster: Cluster) -> Manifest:
    """The namespace that the cluster's Prometheus runs in is let in to this port."""
    inside = {"namespaceSelector": {"matchLabels": {INSIDE: cluster.settings.monitoring_namespace}}}
    rule = {"from": [inside], "ports": _tcp([call.port])}
    return _policy(f"{call.name}-watched-on-{call.port}", cluster, pods=selector(call.name), ingress=[rule])


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


def _tcp(ports: list[int]) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(set(ports))]
