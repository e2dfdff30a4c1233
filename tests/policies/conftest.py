"""The good stacks: the real dev program as the recording engine saw it, and manifests for Kubernetes."""

import pytest

from policies.rule import Subject
from tests.policies import manifests
from tests.policies.stacks import subjects
from tests.program.engine import run_program

IMAGES = {
    "imageQdrant": "qdrant/qdrant:v1.19.2",
    "imageHaproxy": "haproxy:3.2.21",
    "imagePostgres": "postgres:15.18-bookworm",
    "imageKong": "kong:3.9.3",
    "imagePrometheus": "prom/prometheus:v3.5.0",
    "imageGrafana": "grafana/grafana:12.1.0",
    "imageAlertmanager": "prom/alertmanager:v0.28.1",
    "imageNodeExporter": "prom/node-exporter:v1.9.1",
    "imagePostgresExporter": "quay.io/prometheuscommunity/postgres-exporter:v0.17.1",
}


@pytest.fixture(scope="session")
def good() -> list[Subject]:
    """A stack that breaks no rule, with everything in it that a rule looks at."""
    images = {name: f"{reference}@sha256:{'c' * 64}" for name, reference in IMAGES.items()}
    receiver = {"observabilityAlertWebhook": "http://pager.example:8080/alerts"}
    return [*subjects(run_program("dev", **images, **receiver)), *manifests.GOOD]
