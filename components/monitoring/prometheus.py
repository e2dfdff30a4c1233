"""Prometheus: what it scrapes and the files it starts from.

Only settings that Prometheus 2.42 and 3.x both know. Version 3 refuses a scrape without a known Content-Type;
every component here sends `text/plain`, so `fallback_scrape_protocol`, unknown to 2.42, is not needed.
"""

from dataclasses import dataclass, fields

from components.monitoring.exporters import KEPT_OF_POSTGRES
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_files
from components.yaml_text import yaml_text

CONFIG_DIR = "/etc/prometheus"
CONFIG_FILE = f"{CONFIG_DIR}/prometheus.yml"
QDRANT_KEY_FILE = f"{CONFIG_DIR}/secrets/qdrant-read-only-key"
BY_DNS = "dns+"


@dataclass(frozen=True, kw_only=True)
class ScrapeTargets:
    """The `host:port` addresses of each job, every replica by itself; a field is its job's name with underscores.

    `dns+host:port` is a name that resolves to all replicas, where they have none of their own.
    """

    qdrant_cluster: tuple[str, ...]
    haproxy: tuple[str, ...]
    kong: tuple[str, ...]
    rag_service: tuple[str, ...]
    llamaindex_query: tuple[str, ...]
    rag_ingest: tuple[str, ...]
    prometheus: tuple[str, ...] = ("localhost:9090",)
    postgres: tuple[str, ...] = ()  # exporters, where the stack has what they tell of
    valkey: tuple[str, ...] = ()

    def jobs(self) -> dict[str, tuple[str, ...]]:
        """Return job name -> addresses, of the jobs that have any."""
        named = {field.name.replace("_", "-"): getattr(self, field.name) for field in fields(self)}
        return {job: addresses for job, addresses in named.items() if addresses}


def prometheus_config(targets: ScrapeTargets, scrape_seconds: int, alerts_to: tuple[str, ...] = ()) -> str:
    """Return `prometheus.yml`; its paths are relative to the folder it stands in."""
    interval = f"{scrape_seconds}s"
    scrapes = [
        {"job_name": job, **_where(addresses, interval), **_OF_ITS_OWN.get(job, {})}
        for job, addresses in targets.jobs().items()
    ]
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
        "scrape_configs": scrapes,
    }
    return yaml_text(config)


def _where(addresses: tuple[str, ...], interval: str) -> dict[str, object]:
    """Named replicas as they are; the others are looked up again and again, for they come and go."""
    named = [address for address in addresses if not address.startswith(BY_DNS)]
    found: dict[str, object] = {"static_configs": [{"targets": named}]} if named else {}
    lookups = [address.removeprefix(BY_DNS).rpartition(":") for address in addresses if address.startswith(BY_DNS)]
    if lookups:
        found["dns_sd_configs"] = [
            {"names": [host], "type": "A", "port": int(port), "refresh_interval": interval} for host, _, port in lookups
        ]
    return found


# Qdrant wants a key for /metrics. `node` is the first word of the host: qdrant-0, on Docker and on Kubernetes alike.
_OF_ITS_OWN: dict[str, dict[str, object]] = {
    "qdrant-cluster": {
        "authorization": {"type": "Bearer", "credentials_file": QDRANT_KEY_FILE.removeprefix(f"{CONFIG_DIR}/")},
        "relabel_configs": [{"source_labels": ["__address__"], "regex": "([^.:]+).*", "target_label": "node"}],
    },
    "postgres": {
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": KEPT_OF_POSTGRES, "action": "keep"}],
    },
}


def prometheus_files(targets: ScrapeTargets, promises: Promises, alerts_to: tuple[str, ...] = ()) -> dict[str, str]:
    """Return path -> content of all that Prometheus starts from, but for the key at `QDRANT_KEY_FILE`."""
    rules = {f"{CONFIG_DIR}/rules/{name}": content for name, content in rule_files(promises).items()}
    return {CONFIG_FILE: prometheus_config(targets, promises.scrape_seconds, alerts_to), **rules}
