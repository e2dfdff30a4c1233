"""What a cluster has already takes the place of ours, by one setting each; and ours is there without it."""

import json
from typing import Any

import pulumi
import pytest
import yaml

from components.credentials import held
from components.monitoring.dashboards import dashboard_files
from components.monitoring.promises import Promises
from components.monitoring.rules import OF_PROMETHEUS, rule_groups
from tests.program.engine import GIVEN, Engine, free_port, run_program
from tests.program.test_prod_stack import pod_specs, policies

WATCHED = {"kubernetesMonitoringOperator": "true", "kubernetesMonitoringNamespace": "monitoring"}
PROMETHEUS = "http://prometheus.monitoring:9090"


@pytest.fixture(scope="module")
def operated() -> Engine:
    """Prod in a cluster with a Prometheus operator."""
    return run_program("prod", **WATCHED, kubernetesMonitoringLabels='{"release": "prometheus"}')


@pytest.fixture(scope="module")
def with_database() -> Engine:
    """The same, where the gateway has a database."""
    return run_program("prod", **WATCHED, gatewayBackend="database", gatewayAdminPort=free_port())


def monitors(engine: Engine) -> dict[str, Any]:
    """Job -> spec of its ServiceMonitor."""
    return {request.name: request.inputs["spec"] for request in engine.of(":ServiceMonitor")}


def egress_ports(engine: Engine, name: str) -> set[int]:
    """Ports outside the cluster that a workload may reach."""
    rules = policies(engine)[f"{name}-calls"]["egress"]
    return {port["port"] for rule in rules if any("ipBlock" in to for to in rule["to"]) for port in rule["ports"]}


def scrape_jobs(engine: Engine) -> dict[str, Any]:
    """Job -> scrape of our own Prometheus."""
    files = engine.one("prometheus-files", ":ConfigMap").inputs["data"]
    return {job["job_name"]: job for job in yaml.safe_load(files["etc__prometheus__prometheus.yml"])["scrape_configs"]}


def test_the_operator_gets_every_job_that_our_own_prometheus_scrapes(operated: Engine) -> None:
    assert set(monitors(operated)) == set(scrape_jobs(operated)) - {"prometheus"}
    assert "valkey" in monitors(operated)


def test_a_service_monitor_finds_a_service_and_a_port_of_it(operated: Engine) -> None:
    for job, spec in monitors(operated).items():
        wanted = spec["selector"]["matchLabels"].items()
        [service] = [s for s in operated.of(":Service") if wanted <= s.inputs["metadata"]["labels"].items()]
        assert service.inputs["spec"]["clusterIP"] == "None", job
        assert spec["endpoints"][0]["port"] in {port["name"] for port in service.inputs["spec"]["ports"]}


def test_jobs_and_nodes_are_called_as_the_rules_call_them(operated: Engine) -> None:
    for job, spec in monitors(operated).items():
        job_label, node_label = spec["endpoints"][0]["relabelings"]
        assert job_label == {"targetLabel": "job", "replacement": job}
        assert node_label["targetLabel"] == "node"


def test_the_operator_gets_the_rules_but_for_those_about_a_prometheus_of_our_own(
    operated: Engine,
) -> None:
    [rules] = operated.of(":PrometheusRule")
    groups = {group["name"]: group["rules"] for group in rules.inputs["spec"]["groups"]}
    expected = {name: len(each) for name, each in rule_groups(Promises()).items() if name != OF_PROMETHEUS}
    assert {name: len(each) for name, each in groups.items()} == expected
    assert {rule["labels"]["namespace"] for each in groups.values() for rule in each} == {"rag-prod"}


def test_what_is_published_has_the_labels_by_which_the_operator_selects_it(operated: Engine) -> None:
    for request in [*operated.of(":ServiceMonitor"), *operated.of(":PrometheusRule")]:
        assert request.inputs["apiVersion"] == "monitoring.coreos.com/v1"
        assert request.inputs["metadata"]["labels"]["release"] == "prometheus"
    boards = [r for r in operated.of(":ConfigMap") if r.inputs["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert {name for board in boards for name in board.inputs["data"]} == set(dashboard_files(Promises()))


def test_the_token_of_a_scrape_is_a_marked_secret_where_the_operator_looks_for_it(operated: Engine) -> None:
    [job] = [job for job, spec in monitors(operated).items() if "authorization" in spec["endpoints"][0]]
    wanted = monitors(operated)[job]["endpoints"][0]["authorization"]["credentials"]
    secret = operated.one(f"{job}-scrape-token", ":Secret")
    assert (job, secret.inputs["metadata"]["name"]) == ("qdrant-cluster", wanted["name"])
    assert wanted["key"] in secret.inputs["stringData"]
    assert secret.is_secret("stringData")


def test_of_an_exporter_the_operator_keeps_what_our_own_prometheus_keeps(with_database: Engine) -> None:
    [ours] = scrape_jobs(with_database)["postgres"]["metric_relabel_configs"]
    [theirs] = monitors(with_database)["postgres"]["endpoints"][0]["metricRelabelings"]
    assert theirs["regex"] == ours["regex"]


def test_only_the_namespace_of_the_clusters_prometheus_is_let_in_to_what_is_scraped(
    operated: Engine, prod: Engine
) -> None:
    endpoints = {name: spec for name, spec in policies(operated).items() if "-watched-on-" in name}
    assert len(endpoints) == len(monitors(operated))
    for spec in endpoints.values():
        [rule] = spec["ingress"]
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert not [name for name in policies(prod) if "-watched-on-" in name]


def test_a_cluster_without_the_operator_gets_none_of_its_kinds(prod: Engine) -> None:
    assert not [request for request in prod.requests if "monitoring.coreos.com" in request.type]
    assert not [r for r in prod.of(":ConfigMap") if "grafana_dashboard" in r.inputs["metadata"]["labels"]]


def test_secrets_come_from_the_secret_that_is_named_and_none_is_made() -> None:
    engine = run_program("prod", kubernetesSecretName="ours")
    assert {request.name for request in engine.of(":RandomPassword")} == {"naming-key"}
    shown = [r for kind in (":Deployment", ":StatefulSet", ":Job", ":ConfigMap") for r in engine.of(kind)]
    assert "given-" not in json.dumps([request.inputs for request in shown])
    for name, key in (("qdrant", "qdrantApiKey"), ("grafana", "grafanaPassword"), ("kong", "gatewayJwt-rag-client-1")):
        secret = engine.one(f"{name}-secret-files", ":Secret")
        assert GIVEN[key] in json.dumps(secret.inputs["stringData"])
        assert secret.is_secret("stringData")


def test_a_key_that_the_secret_lacks_is_named_and_no_value_is_shown() -> None:
    with pytest.raises(pulumi.RunError, match=r"expected the key qdrantApiKey .*, found other") as refused:
        held("qdrantApiKey", {"other": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_prometheus_of_ones_own_is_asked_by_our_grafana_and_ours_does_not_run(prod: Engine) -> None:
    engine = run_program("prod", observabilityPrometheusUrl=PROMETHEUS)
    assert "prometheus" in pod_specs(prod)
    assert "prometheus" not in pod_specs(engine)
    assert not [claim for claim in engine.of(":PersistentVolumeClaim") if "prometheus" in claim.name]
    data = engine.one("grafana-files", ":ConfigMap").inputs["data"]
    assert f"url: {PROMETHEUS}\n" in data["etc__grafana__provisioning__datasources__prometheus.yml"]
    assert egress_ports(engine, "grafana") == {9090}


def test_a_grafana_of_ones_own_leaves_ours_out(prod: Engine) -> None:
    engine = run_program("prod", observabilityGrafana="false")
    assert "grafana" in pod_specs(prod)
    assert "grafana" not in pod_specs(engine)


def test_a_postgres_of_ones_own_is_asked_and_ours_does_not_run(with_database: Engine) -> None:
    assert {"postgres", "postgres-exporter"} <= set(pod_specs(with_database))
    asked = {"gatewayBackend": "database", "gatewayAdminPort": free_port()}
    engine = run_program("prod", **asked, gatewayDatabaseAddress="db.example.com:5433")
    assert not {"postgres", "postgres-exporter"} & set(pod_specs(engine))
    [container] = pod_specs(engine)["kong"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert (env["KONG_PG_HOST"], env["KONG_PG_PORT"]) == ("db.example.com", "5433")
    assert 5433 in egress_ports(engine, "kong")
    assert 5433 in egress_ports(engine, "kong-migrations")


def test_a_redis_of_ones_own_counts_and_our_valkey_does_not_run(prod: Engine) -> None:
    engine = run_program("prod", gatewayRedisAddress="redis.example.com:6380")
    assert {"valkey", "valkey-exporter"} <= set(pod_specs(prod))
    assert not {"valkey", "valkey-exporter"} & set(pod_specs(engine))
    written = engine.one("kong-secret-files", ":Secret").inputs["stringData"]["etc__kong__kong.yml"]
    assert "host: redis.example.com" in written
    assert egress_ports(engine, "kong") == {6380}


def test_every_pod_pulls_with_the_secret_that_is_named(prod: Engine) -> None:
    engine = run_program("prod", kubernetesPullSecret="pull")
    assert pod_specs(engine)
    assert {json.dumps(spec.get("imagePullSecrets")) for spec in pod_specs(engine).values()} == {'[{"name": "pull"}]'}
    assert {spec.get("imagePullSecrets") for spec in pod_specs(prod).values()} == {None}


def test_a_namespace_of_ones_own_is_used_and_not_made(prod: Engine) -> None:
    engine = run_program("prod", kubernetesNamespace="ours", kubernetesCreateNamespace="false")
    assert prod.of(":Namespace")
    assert not engine.of(":Namespace")
    assert {request.inputs["metadata"]["namespace"] for request in engine.of(":Service")} == {"ours"}


def test_traces_and_alerts_leave_by_the_ports_they_go_to(prod: Engine) -> None:
    engine = run_program(
        "prod",
        observabilityTracesUrl="http://collector.example.com:4318",
        observabilityAlertWebhook="https://pager.example.com/alerts",
        observabilityAlertWatchdogUrl="https://switch.example.com:8443/ping",
    )
    for name in ("kong", "rag-service", "rag-llamaindex-query", "rag-ingest"):
        assert egress_ports(engine, name) == {4318}
        assert egress_ports(prod, name) == set()
    assert egress_ports(engine, "alertmanager") == {443, 8443}
    assert "pager.example.com" not in str([request.inputs for request in engine.of(":ConfigMap")])


def test_valkey_has_an_exporter_whose_password_is_a_marked_file(prod: Engine) -> None:
    [container] = pod_specs(prod)["valkey-exporter"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    secret = prod.one("valkey-exporter-secret-files", ":Secret")
    [passwords] = secret.inputs["stringData"].values()
    assert list(json.loads(passwords)) == [env["REDIS_ADDR"]] == ["redis://valkey:6379"]
    assert json.loads(passwords)[env["REDIS_ADDR"]].startswith("made-gatewayRedisPassword")
    assert secret.is_secret("stringData")
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == env["REDIS_PASSWORD_FILE"]]
    assert mount["readOnly"]
    assert "valkey" in scrape_jobs(prod)


PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvkgY+AqqDO+JB6TUDdKq/0NClGBM
Qe1j3Khzj3GrVniC8ZJvXJFvIB5YSIHkFKFV8npRRo9P7lrsGgZ4r//zyg==
-----END PUBLIC KEY-----
"""
CALLERS = {
    "gatewayConsumers": json.dumps(
        {
            "dashboard": {
                "keys": {"dashboard-1": {"algorithm": "HS384"}},
                "groups": ["staff"],
                "rateLimitPerMinute": 30,
            },
            "partner": {"keys": {"https://auth.example.com": {"algorithm": "ES256", "publicKey": PEM}}},
        }
    ),
    "gatewayJwtSecrets": json.dumps({"dashboard-1": "a secret of ours, of forty characters: x"}),
    "services": json.dumps(
        {"notes": {"image": "you/n:1", "routes": [{"paths": ["/api/v1/notes"], "groups": ["staff"]}]}}
    ),
}


def test_consumers_of_ones_own_are_entities_whose_groups_and_limits_come_before_their_keys() -> None:
    engine = run_program("dev", **CALLERS)
    [dashboard] = [each for each in engine.of("ConsumerJwtAuth") if each.name == "dashboard-1"]
    groups = {each.name: each for each in engine.of("ConsumerAcl")}
    assert set(groups) == {"dashboard-staff", "rag-client-staff"}
    limit = engine.one("consumers.dashboard-rate-limiting", "plugin:Plugin")
    assert {groups["dashboard-staff"].urn, limit.urn} <= set(dashboard.depends_on)
    assert dashboard.is_secret("secret")
    assert dashboard.inputs["algorithm"] == "HS384"
    [partner] = [each for each in engine.of("ConsumerJwtAuth") if each.name == "https://auth.example.com"]
    assert (partner.inputs["algorithm"], partner.inputs["rsaPublicKey"]) == ("ES256", PEM)
    shown = str([each.inputs for each in engine.of("KongGateway")])
    assert "forty characters" not in shown


def test_without_a_database_the_same_consumers_stand_in_the_file() -> None:
    [engine, plain] = run_program("prod", **CALLERS), run_program("prod")
    declared, before = (
        yaml.safe_load(each.one("kong-secret-files", ":Secret").inputs["stringData"]["etc__kong__kong.yml"])
        for each in (engine, plain)
    )
    found = {consumer["username"]: consumer for consumer in declared["consumers"]}
    assert found["dashboard"]["acls"] == [{"group": "staff"}]
    assert found["dashboard"]["jwt_secrets"][0]["secret"].endswith("of forty characters: x")
    assert found["partner"]["jwt_secrets"][0]["rsa_public_key"] == PEM
    assert [consumer["username"] for consumer in before["consumers"]] == ["rag-client"]
