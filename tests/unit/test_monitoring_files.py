"""Prometheus and Grafana start from these files: every part is watched, and no secret stands in them."""

import re

import pytest
import yaml

from components.monitoring.grafana import DASHBOARDS_DIR, grafana_env, grafana_files
from components.monitoring.prometheus import CONFIG_FILE, QDRANT_KEY_FILE, ScrapeTargets, prometheus_files
from components.monitoring.promises import Promises

TARGETS = ScrapeTargets(
    qdrant_cluster=("qdrant-0:6333", "qdrant-1.qdrant.rag.svc:6333"),
    haproxy=("haproxy:8404",),
    kong=("kong:8100",),
    rag_service=("rag-service:3000",),
    llamaindex_query=("rag-llamaindex-query:8000",),
    rag_ingest=("rag-ingest:8201",),
)
FILES = prometheus_files(TARGETS, Promises())
CONFIG = yaml.safe_load(FILES[CONFIG_FILE])
JOBS = {job["job_name"]: job for job in CONFIG["scrape_configs"]}


def test_every_part_is_scraped_every_15_seconds() -> None:
    assert CONFIG["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}
    parts = ["qdrant-cluster", "haproxy", "kong", "rag-service", "llamaindex-query", "rag-ingest", "prometheus"]
    assert list(JOBS) == parts


def test_each_qdrant_node_is_scraped_by_itself_with_a_key_from_a_file() -> None:
    qdrant = JOBS["qdrant-cluster"]
    assert qdrant["static_configs"] == [{"targets": list(TARGETS.qdrant_cluster)}]
    assert qdrant["authorization"] == {"type": "Bearer", "credentials_file": "secrets/qdrant-read-only-key"}
    assert QDRANT_KEY_FILE not in FILES
    assert [name for name, job in JOBS.items() if "authorization" in job] == ["qdrant-cluster"]


@pytest.mark.parametrize("address", TARGETS.qdrant_cluster)
def test_a_node_has_the_same_name_on_docker_and_on_kubernetes(address: str) -> None:
    (rule,) = JOBS["qdrant-cluster"]["relabel_configs"]
    match = re.fullmatch(rule["regex"], address)
    assert match is not None
    assert match[1] == address[: len("qdrant-n")]


def test_grafana_reads_dashboards_only_from_files_and_from_our_prometheus() -> None:
    files = grafana_files("http://prometheus:9090", Promises())
    (source,) = yaml.safe_load(files["/etc/grafana/provisioning/datasources/prometheus.yml"])["datasources"]
    assert (source["uid"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    assert source["jsonData"]["timeInterval"] == CONFIG["global"]["scrape_interval"]
    (provider,) = yaml.safe_load(files["/etc/grafana/provisioning/dashboards/rag-platform.yml"])["providers"]
    assert provider["options"]["path"] == DASHBOARDS_DIR
    assert provider["allowUiUpdates"] is False


def test_grafana_opens_a_dashboard_that_exists_and_takes_its_password_from_a_file() -> None:
    env = grafana_env(root_url="http://localhost:3001", admin_password_file="/run/secrets/admin")
    assert env["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in grafana_files("http://prometheus:9090", Promises())
    assert [name for name in env if "PASSWORD" in name] == ["GF_SECURITY_ADMIN_PASSWORD__FILE"]
