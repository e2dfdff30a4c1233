"""Prometheus: what it scrapes and the files it starts from.

Only settings that Prometheus 2.42 and 3.x both know. Version 3 refuses a scrape without a known Content-Type;
every component here sends `text/plain`, so `fallback_scrape_protocol`, unknown to 2.42, is not needed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pulumi

from components.monitoring.promises import Promises
from components.monitoring.rules import rule_files
from components.yaml_text import yaml_text
from platforms.monitoring_targets import ScrapeJob
from platforms.workload import AllowedConnection

PORT = 9090
CONFIG_DIR = "/etc/prometheus"
CONFIG_FILE = f"{CONFIG_DIR}/prometheus.yml"
BY_DNS = "dns+"
ITSELF = ScrapeJob(
    name="prometheus", target=AllowedConnection(name="prometheus", port=PORT), addresses=(f"localhost:{PORT}",)
)
# The first word of the host: qdrant-0, on Docker and on Kubernetes alike.
NODE_LABEL = {"source_labels": ["__address__"], "regex": "([^.:]+).*", "target_label": "node"}


def prometheus_config(jobs: Iterable[ScrapeJob], scrape_seconds: int, alerts_to: Sequence[str] = ()) -> str:
    """Return `prometheus.yml`; its paths are relative to the folder it stands in."""
    interval = f"{scrape_seconds}s"
    pace = {
        "scrape_interval": interval,
        "scrape_timeout": f"{min(10, scrape_seconds)}s",
        "evaluation_interval": interval,
    }
    alerting = {"alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alerts_to)}]}]}}
    config = {
        "global": pace,
        "rule_files": ["rules/*.yml"],
        **(alerting if alerts_to else {}),
        "scrape_configs": [_scrape_config(job, interval) for job in jobs],
    }
    return yaml_text(config)


def _scrape_config(job: ScrapeJob, interval: str) -> dict[str, Any]:
    config: dict[str, Any] = {"job_name": job.name, **_where(job.addresses, interval)}
    if job.path != "/metrics":
        config["metrics_path"] = job.path
    if job.params:
        config["params"] = {key: [value] for key, value in job.params.items()}
    if job.bearer is not None:
        config["authorization"] = {"type": "Bearer", "credentials_file": f"secrets/{job.bearer_file}"}
    if job.labels_nodes:
        config["relabel_configs"] = [dict(NODE_LABEL)]
    if job.keeps:
        kept = {"source_labels": ["__name__"], "regex": job.keeps, "action": "keep"}
        config["metric_relabel_configs"] = [kept]
    return config


def _where(addresses: Sequence[str], interval: str) -> dict[str, object]:
    """Named replicas as they are; names that stand for several are resolved again at each interval."""
    named = [address for address in addresses if not address.startswith(BY_DNS)]
    found: dict[str, object] = {"static_configs": [{"targets": named}]} if named else {}
    lookups = [address.removeprefix(BY_DNS).rpartition(":") for address in addresses if address.startswith(BY_DNS)]
    if lookups:
        found["dns_sd_configs"] = [
            {"names": [host], "type": "A", "port": int(port), "refresh_interval": interval} for host, _, port in lookups
        ]
    return found


def prometheus_files(jobs: Iterable[ScrapeJob], promises: Promises, alerts_to: Sequence[str] = ()) -> dict[str, str]:
    """Return path -> content of all that Prometheus starts from, but for the tokens of `token_files`."""
    rules = {f"{CONFIG_DIR}/rules/{name}": content for name, content in rule_files(promises).items()}
    return {CONFIG_FILE: prometheus_config(jobs, promises.scrape_seconds, alerts_to), **rules}


def outside_ports(jobs: Iterable[ScrapeJob]) -> tuple[int, ...]:
    """Of what is scraped outside the stack."""
    outside = (address for job in jobs if job.outside for address in job.addresses)
    return tuple(sorted({int(address.rpartition(":")[2]) for address in outside}))


def token_files(jobs: Iterable[ScrapeJob]) -> dict[str, pulumi.Input[str]]:
    """Return path -> token, of the jobs that need one."""
    return {f"{CONFIG_DIR}/secrets/{job.bearer_file}": job.bearer for job in jobs if job.bearer is not None}
