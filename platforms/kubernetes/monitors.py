"""What a cluster's own Prometheus operator and Grafana are told, in objects of their own kinds."""

import pulumi

from platforms.kubernetes import files
from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.kubernetes.pods import port_name
from platforms.kubernetes.scoped import scoped_board, scoped_rule
from platforms.kubernetes.services import EACH_REPLICA
from platforms.monitoring_targets import MonitoringTargets, Scrape

GROUP_VERSION = "monitoring.coreos.com/v1"
DASHBOARD = {"grafana_dashboard": "1"}  # what the sidecar of Grafana's chart looks for
BEARER_KEY = "token"


def service_monitor(scrape: Scrape, interval_seconds: int, cluster: Cluster) -> Manifest:
    """One job; `job` and `node` are labelled as our own Prometheus labels them, for the rules ask for both."""
    endpoint: Manifest = {
        "port": port_name(scrape.call.port),
        "path": "/metrics",
        "interval": f"{interval_seconds}s",
        "scrapeTimeout": f"{min(10, interval_seconds)}s",
        "relabelings": [
            {"targetLabel": "job", "replacement": scrape.job},
            {"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "node"},
        ],
    }
    if scrape.keeps:
        kept = {"sourceLabels": ["__name__"], "regex": scrape.keeps, "action": "keep"}
        endpoint["metricRelabelings"] = [kept]
    if scrape.bearer is not None:
        credentials = {"name": bearer_name(scrape), "key": BEARER_KEY}
        endpoint["authorization"] = {"type": "Bearer", "credentials": credentials}
    every_replica = {"matchLabels": selector(scrape.call.name) | EACH_REPLICA}
    return _own("ServiceMonitor", scrape.job, {"selector": every_replica, "endpoints": [endpoint]}, cluster)


def rules(monitoring_targets: MonitoringTargets, cluster: Cluster) -> Manifest:
    """All groups, of this namespace only: a Prometheus of our own has nobody else's metrics, a cluster's has."""
    groups = [
        {"name": name, "rules": [scoped_rule(rule, cluster.namespace) for rule in each]}
        for name, each in monitoring_targets.rules.items()
    ]
    return _own("PrometheusRule", "rules", {"groups": groups}, cluster)


def bearer_secret(scrape: Scrape, cluster: Cluster) -> Manifest:
    """The token, where the operator reads it; always of one name, so that a new token is read from the same place."""
    assert scrape.bearer is not None
    metadata = cluster.metadata(bearer_name(scrape), scrape.call.name)
    return {"metadata": metadata, "stringData": {BEARER_KEY: pulumi.Output.secret(scrape.bearer)}, "type": "Opaque"}


def bearer_name(scrape: Scrape) -> str:
    """What the Secret with the token is called."""
    return f"{scrape.call.name}-scrape-token"


def dashboard(name: str, content: str, cluster: Cluster) -> Manifest:
    """One file, for the sidecar to pick up; it shows this namespace."""
    content = scoped_board(content, cluster.namespace)
    metadata = cluster.metadata(f"dashboard-{name.removesuffix('.json')}-{files.digest(content)}")
    metadata["labels"] = metadata["labels"] | DASHBOARD
    return {"metadata": metadata, "data": {name: content}, "immutable": True}


def _own(kind: str, name: str, spec: Manifest, cluster: Cluster) -> Manifest:
    """An object of the operator's, with the labels by which it picks what is its own."""
    metadata = cluster.metadata(f"{cluster.prefix}-{name}")
    metadata["labels"] = metadata["labels"] | cluster.settings.monitoring_labels
    return {"apiVersion": GROUP_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
