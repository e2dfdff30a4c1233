"""Scrape jobs, rules and dashboards as objects of a cluster's own Prometheus operator and Grafana."""

import pulumi

from platforms.kubernetes import files
from platforms.kubernetes.cluster import Cluster, Manifest, selector
from platforms.kubernetes.pods import port_name
from platforms.kubernetes.scoped import scoped_board, scoped_rule
from platforms.kubernetes.services import EACH_REPLICA
from platforms.monitoring_targets import MonitoringTargets, ScrapeJob

GROUP_VERSION = "monitoring.coreos.com/v1"
DASHBOARD = {"grafana_dashboard": "1"}  # what the sidecar of Grafana's chart looks for
BEARER_KEY = "token"


def service_monitor(job: ScrapeJob, interval_seconds: int, cluster: Cluster) -> Manifest:
    """One job; `job` and `node` are labelled as our own Prometheus labels them, because the rules use both."""
    endpoint: Manifest = {
        "port": port_name(job.target.port),
        "path": job.path,
        "interval": f"{interval_seconds}s",
        "scrapeTimeout": f"{min(10, interval_seconds)}s",
        "relabelings": [
            {"targetLabel": "job", "replacement": job.name},
            {"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "node"},
        ],
    }
    if job.params:
        endpoint["params"] = {key: [value] for key, value in job.params.items()}
    if job.keeps:
        kept = {"sourceLabels": ["__name__"], "regex": job.keeps, "action": "keep"}
        endpoint["metricRelabelings"] = [kept]
    if job.bearer is not None:
        credentials = {"name": bearer_name(job), "key": BEARER_KEY}
        endpoint["authorization"] = {"type": "Bearer", "credentials": credentials}
    every_replica = {"matchLabels": selector(job.target.name) | EACH_REPLICA}
    return _own("ServiceMonitor", job.name, {"selector": every_replica, "endpoints": [endpoint]}, cluster)


def rules(monitoring_targets: MonitoringTargets, cluster: Cluster) -> Manifest:
    """All groups, each query kept to this namespace: a cluster's Prometheus has the metrics of others too."""
    groups = [
        {"name": name, "rules": [scoped_rule(rule, cluster.namespace) for rule in each]}
        for name, each in monitoring_targets.rules.items()
    ]
    return _own("PrometheusRule", "rules", {"groups": groups}, cluster)


def bearer_secret(job: ScrapeJob, cluster: Cluster) -> Manifest:
    """The token, where the operator reads it; always of one name, so that a new token is read from the same place."""
    assert job.bearer is not None
    metadata = cluster.metadata(bearer_name(job), job.target.name)
    return {"metadata": metadata, "stringData": {BEARER_KEY: pulumi.Output.secret(job.bearer)}, "type": "Opaque"}


def bearer_name(job: ScrapeJob) -> str:
    """The name of the Secret with the token."""
    return f"{job.target.name}-scrape-token"


def dashboard(name: str, content: str, cluster: Cluster) -> Manifest:
    """One file, for the sidecar to pick up; it shows this namespace."""
    content = scoped_board(content, cluster.namespace)
    metadata = cluster.metadata(f"dashboard-{name.removesuffix('.json')}-{files.digest(content)}")
    metadata["labels"] = metadata["labels"] | DASHBOARD
    return {"metadata": metadata, "data": {name: content}, "immutable": True}


def _own(kind: str, name: str, spec: Manifest, cluster: Cluster) -> Manifest:
    """An object of the operator's, with the labels by which the operator selects it."""
    metadata = cluster.metadata(f"{cluster.prefix}-{name}")
    metadata["labels"] = metadata["labels"] | cluster.settings.monitoring_labels
    return {"apiVersion": GROUP_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
