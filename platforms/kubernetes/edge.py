"""The edge: an Ingress or a load balancer, with TLS."""

from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.workload import Port, Workload

HTTPS = 443
CERTIFICATE_DIR = "/etc/edge"


def public_ports(workload: Workload, cluster: Cluster) -> list[Port]:
    """What the edge that the stack file asks for leads to: an Ingress ends the TLS itself, a load balancer does not."""
    wanted = {"none": None, "ingress": "http", "loadbalancer": "https"}[cluster.settings.edge]
    return [port for port in workload.ports if wanted and port.public == wanted]


def certificate_dir(cluster: Cluster) -> str:
    """Where the certificate is mounted; empty where an Ingress keeps it, or none is named."""
    settings = cluster.settings
    return CERTIFICATE_DIR if settings.edge == "loadbalancer" and settings.edge_tls_secret else ""


def certificate_volumes(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """The certificate, for what is public over https."""
    if not certificate_dir(cluster) or not any(port.public == "https" for port in workload.ports):
        return []
    return [{"name": "certificate", "secret": {"secretName": cluster.settings.edge_tls_secret, "defaultMode": 0o440}}]


def ingress(name: str, port: Port, cluster: Cluster) -> Manifest:
    """One host, all paths: the gateway behind it decides what is let through."""
    settings = cluster.settings
    annotations = {"pulumi.com/skipAwait": "true"}
    if settings.edge_tls_issuer:
        annotations["cert-manager.io/cluster-issuer"] = settings.edge_tls_issuer
    backend = {"service": {"name": name, "port": {"number": port.number}}}
    spec: Manifest = {
        "tls": [{"hosts": [settings.edge_host], "secretName": settings.edge_tls_secret}],
        "rules": [
            {"host": settings.edge_host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ],
    }
    if settings.edge_ingress_class:
        spec["ingressClassName"] = settings.edge_ingress_class
    return {"metadata": cluster.metadata(name, name, annotations=annotations), "spec": spec}


def load_balancer(name: str, ports: list[Port], cluster: Cluster) -> Manifest:
    """Keeps the client's address, by which the gateway counts calls."""
    listed = [{"name": f"tcp-{port.number}", "port": HTTPS, "targetPort": port.number} for port in ports]
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": selector(name), "ports": listed}
    return {"metadata": cluster.metadata(f"{name}-edge", name), "spec": spec}
