"""Services of a stack file in the real program: run, routed, guarded and scraped like the reference one."""

import json
from typing import Any

import pytest
import yaml

from tests.program.engine import Engine, run_program
from tests.program.test_prod_stack import pod_specs, policies

SERVICES: dict[str, Any] = {
    "notes": {
        "image": "you/notes:1.4.2@sha256:" + "0" * 64,
        "port": 3000,
        "health": "/healthz",
        "replicas": 2,
        "env": {"QDRANT_URL": "${qdrant.url}"},
        "secretFiles": {"/run/secrets/qdrant": "${qdrant.readOnlyApiKey}"},
        "metrics": "/metrics",
        "routes": [{"paths": ["/api/v1/notes"]}, {"paths": ["/live"], "streaming": True, "serviceToken": False}],
    },
    "api": {"at": ["api.example.org:443"], "tls": True, "metrics": "/m", "routes": [{"paths": ["/api/v1/api"]}]},
}
OWN = {"services": json.dumps(SERVICES)}


@pytest.fixture(scope="module")
def docker() -> Engine:
    return run_program("dev", **OWN)


@pytest.fixture(scope="module")
def kubernetes() -> Engine:
    return run_program("prod", **OWN)


def test_a_service_runs_in_as_many_replicas_as_it_says(docker: Engine, kubernetes: Engine) -> None:
    containers = [request for request in docker.of(":Container") if request.name.startswith("notes-")]
    assert [container.name for container in containers] == ["notes-0", "notes-1"]
    assert "QDRANT_URL=http://haproxy:6333" in containers[0].inputs["envs"]
    assert containers[0].is_secret("uploads")
    assert kubernetes.one("notes", ":Deployment").inputs["spec"]["template"]["spec"] == pod_specs(kubernetes)["notes"]


def test_a_reference_opens_the_connection_that_it_needs_and_no_other(kubernetes: Engine) -> None:
    [egress] = policies(kubernetes)["notes-calls"]["egress"]
    assert egress["ports"] == [{"port": 6333, "protocol": "TCP"}]
    assert "notes-from-kong" in policies(kubernetes)
    assert "haproxy-from-notes" in policies(kubernetes)


def test_every_route_stands_behind_its_own_guard(docker: Engine) -> None:
    guards = {request.name: request for request in docker.of(":Guarded")}
    assert set(guards) == {"rag-service", "notes", "notes-1", "api"}
    for request in docker.of("route:Route"):
        if not request.name.endswith("-canary"):
            assert any(guard.urn in request.depends_on for guard in guards.values()), request.name
    assert len([request for request in docker.of(":Upstream") if request.name == "notes.upstream"]) == 1


def test_both_backends_have_the_same_routes(docker: Engine, kubernetes: Engine) -> None:
    written = kubernetes.one("gateway", ":KongGateway").inputs["description"]
    declarative = {route["name"] for service in written["services"] for route in service["routes"]}
    entities = {request.name for request in docker.of("route:Route") if not request.name.endswith("-canary")}
    assert declarative == entities == {"rag-api", "notes", "notes-1", "api"}


def test_the_gateway_reaches_what_runs_elsewhere(docker: Engine, kubernetes: Engine) -> None:
    kong = docker.one("kong-0", ":Container").inputs
    assert kong["hosts"] == [{"host": "host.docker.internal", "ip": "host-gateway"}]
    assert any(entry.startswith("KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE=") for entry in kong["envs"])
    assert 443 in {port["port"] for rule in policies(kubernetes)["kong-calls"]["egress"] for port in rule["ports"]}


def test_metrics_are_scraped_on_their_own_path(docker: Engine) -> None:
    uploads = {
        upload["file"]: upload["content"] for upload in docker.one("prometheus-0", ":Container").inputs["uploads"]
    }
    scrapes = yaml.safe_load(uploads["/etc/prometheus/prometheus.yml"])["scrape_configs"]
    jobs = {job["job_name"]: job for job in scrapes}
    assert jobs["notes"]["static_configs"] == [{"targets": ["notes-0:3000", "notes-1:3000"]}]
    assert (jobs["api"]["metrics_path"], jobs["api"]["static_configs"]) == (
        "/m",
        [{"targets": ["api.example.org:443"]}],
    )


def test_without_the_reference_service_the_rest_stands_by_itself() -> None:
    engine = run_program("dev", ragEnabled="false", **OWN)
    assert {request.name for request in engine.of(":Guarded")} == {"notes", "notes-1", "api"}
    assert engine.one("collection").inputs["ingest_url"] == ""


def test_alerts_know_the_services_that_are_there_and_no_other(docker: Engine) -> None:
    rules = alert_rules(docker)
    assert 'job=~"notes|api"' in rules["ServiceDown"]
    assert "RagServiceDown" in rules
    alone = alert_rules(run_program("dev", ragEnabled="false", **OWN))
    assert "RagServiceDown" not in alone
    assert 'absent(up{job="notes"})' in alone["PrometheusJobMissing"]
    assert "rag-service" not in alone["PrometheusJobMissing"]
    assert "ServiceDown" not in alert_rules(run_program("dev"))


def alert_rules(engine: Engine) -> dict[str, str]:
    """Alert -> its expression, as our Prometheus gets them."""
    uploads = engine.one("prometheus-0", ":Container").inputs["uploads"]
    files = [yaml.safe_load(upload["content"]) for upload in uploads if "/rules/" in upload["file"]]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["expr"] for rule in rules if "alert" in rule}


def test_two_services_may_lead_to_the_same_address() -> None:
    both = {name: {"at": ["rag-service:3000"], "routes": [{"paths": [f"/{name}"]}]} for name in ("one", "two")}
    targets = list(run_program("dev", services=json.dumps(both)).of("target:Target"))
    assert len({request.name for request in targets}) == len(targets)
    assert [request.inputs["target"] for request in targets].count("rag-service:3000") == 3


def test_collections_of_ones_own_are_made_beside_the_served_one_and_referred_to_by_their_alias() -> None:
    declared = {
        "collections": json.dumps(
            {
                "pictures": {"alias": "pics", "vectors": {"image": {"size": 512}}, "replicationFactor": 3},
                "words": {"alias": "terms", "sparseVectors": {"bm25": {"modifier": "idf"}}},
            }
        ),
        "services": json.dumps({"notes": {"image": "you/n:1", "env": {"TO": "${collection.pictures} ${collection}"}}}),
    }
    engine, plain = run_program("dev", **declared), run_program("dev")
    made = {request.name: request for request in engine.of(":ReplicatedCollection")}
    assert set(made) == {"collection", "collections.pictures", "collections.words"}
    assert made["collection"].inputs == plain.one("collection", ":ReplicatedCollection").inputs
    pictures = made["collections.pictures"]
    assert pictures.inputs["vectors"] == {"image": {"size": 512, "distance": "Cosine", "on_disk": False}}
    assert (pictures.inputs["replication_factor"], pictures.is_secret("api_key")) == (3, True)
    assert made["collections.words"].inputs["sparse_vectors"]["bm25"]["modifier"] == "idf"
    notes = engine.one("notes-0", ":Container")
    assert "TO=pics docs_index" in notes.inputs["envs"]
    assert {request.urn for request in made.values()} <= set(notes.depends_on) | {
        urn for each in engine.of(":Services") for urn in each.depends_on
    }
