"""The dev stack as the engine sees it: the promises of the platform contract, kept by the real program."""

import json
import re

import pytest

from providers.one_shot import OneShotProvider
from tests.program.engine import Engine, free_port, run_program

CONTAINER, VOLUME = "container:Container", "volume:Volume"
NODES = ["qdrant-0", "qdrant-1", "qdrant-2"]


def test_a_node_is_drained_before_it_is_stopped_and_stopped_hard(dev: Engine) -> None:
    for ordinal, name in enumerate(NODES):
        request = dev.one(name, CONTAINER)
        assert list(request.wire.hooks.before_delete) == [f"qdrant-drain-{ordinal}"]
        assert "destroyGraceSeconds" not in request.inputs


def test_a_container_that_failed_to_start_is_replaced_and_not_passed_over(dev: Engine) -> None:
    for request in dev.of(CONTAINER):
        if request.inputs.get("wait"):
            assert "#initerror" in request.wire.replaceOnChanges
            assert request.wire.deleteBeforeReplace


def test_only_loopback_addresses_are_published(dev: Engine) -> None:
    ports = [port for request in dev.of(CONTAINER) for port in request.inputs.get("ports", [])]
    assert {port["ip"] for port in ports} == {"127.0.0.1"}
    published = {int(port["external"]) for port in ports}
    assert published >= {6333, 6334, 8000, 8001, 8443, 8404, 9090, 3001}


def test_volumes_and_secrets_are_protected_and_nothing_else(dev: Engine) -> None:
    kept = {request.type.rpartition(":")[2] for request in dev.requests if request.wire.protect}
    assert kept == {"Volume", "RandomPassword"}


def test_the_permission_to_found_is_kept_with_the_volumes_and_never_given_again(dev: Engine) -> None:
    founding = dev.one("qdrant-founding")
    assert all(founding.urn in dev.one(name, VOLUME).depends_on for name in NODES)
    assert founding.inputs["volume"] == dev.one("qdrant-0", VOLUME).inputs["name"]
    assert not OneShotProvider().diff("", {"image": "old"}, {**founding.inputs, "image": "new"}).changes


@pytest.mark.parametrize("name", ["qdrant-settled-0", "collection"])
def test_a_dynamic_resource_keeps_its_key_secret(dev: Engine, name: str) -> None:
    request = dev.one(name)
    assert request.is_secret("api_key")
    assert "api_key" in request.wire.additionalSecretOutputs


def test_the_collection_is_declared_as_proposed(dev: Engine) -> None:
    inputs = dev.one("collection").inputs
    declared = (inputs["name"], inputs["vector_size"], inputs["distance"], inputs["shard_number"])
    assert declared == ("docs_index_mxbai", 384, "Cosine", 6)
    assert (inputs["replication_factor"], inputs["write_consistency_factor"]) == (2, 1)


def test_the_rag_service_that_only_reads_gets_the_key_that_only_reads(dev: Engine) -> None:
    for name, key in (("rag-service-0", "qdrantReadOnlyApiKey"), ("rag-ingest-0", "qdrantApiKey")):
        [upload] = [u for u in dev.one(name, CONTAINER).inputs["uploads"] if u["file"].endswith("qdrant-api-key")]
        assert upload["content"].startswith(f"made-{key}")


def test_kong_starts_only_after_its_migrations_ran_to_their_end(dev: Engine) -> None:
    migrations = dev.one("kong-migrations", "OneShot")
    assert migrations.inputs["command"] == ["kong", "migrations", "bootstrap"]
    assert migrations.is_secret("files")
    assert OneShotProvider().diff("", {**migrations.inputs, "image": "older"}, dict(migrations.inputs)).changes
    assert migrations.urn in dev.one("kong-migrations-up", "OneShot").depends_on


def test_a_newer_kong_rolls_between_what_adds_to_the_database_and_what_drops_from_it(dev: Engine) -> None:
    kong = dev.one("kong-0", CONTAINER)
    assert dev.one("kong-migrations-up", "OneShot").urn in kong.depends_on
    assert kong.urn in dev.one("kong-migrations-finish", "OneShot").depends_on


def test_the_database_has_an_exporter_whose_password_is_a_marked_file(dev: Engine) -> None:
    exporter = dev.one("postgres-exporter-0", CONTAINER)
    assert "DATA_SOURCE_URI=postgres:5432/kong?sslmode=disable" in exporter.inputs["envs"]
    assert exporter.is_secret("uploads")
    [config] = [u for u in dev.one("prometheus-0", CONTAINER).inputs["uploads"] if u["file"].endswith("prometheus.yml")]
    assert "postgres-exporter:9187" in config["content"]


def test_no_alert_is_sent_and_no_call_traced_by_default(dev: Engine) -> None:
    assert not [request for request in dev.of(CONTAINER) if request.name.startswith("alertmanager")]
    envs = [env for request in dev.of(CONTAINER) for env in request.inputs.get("envs", [])]
    assert not [env for env in envs if env.startswith(("TRACES_URL", "KONG_TRACING"))]
    assert "opentelemetry" not in {request.inputs["name"] for request in dev.of("plugin:Plugin")}


def test_alerts_and_traces_go_where_two_settings_say() -> None:
    asked = run_program(
        "dev", observabilityAlertWebhook="http://pager:8080/", observabilityTracesUrl="http://collector:4318"
    )
    [config] = asked.one("alertmanager-0", CONTAINER).inputs["uploads"]
    assert config["file"] == "/etc/alertmanager/alertmanager.yml"
    assert "http://pager:8080/" in config["content"]
    assert "http://pager:8080/" not in str(asked.one("observability", "rag:components:ObservabilityStack").inputs)
    assert "alertmanager-0" not in {request.name for request in asked.of(VOLUME)}  # else it could not be turned off
    for name, env in (("rag-service-0", "TRACES_URL="), ("kong-0", "KONG_TRACING_SAMPLING_RATE=")):
        assert [each for each in asked.one(name, CONTAINER).inputs["envs"] if each.startswith(env)]
    assert "opentelemetry" in {request.inputs["name"] for request in asked.of("plugin:Plugin")}


def test_every_image_is_pinned(dev: Engine) -> None:
    names = [request.inputs["name"] for request in dev.of("remoteImage:RemoteImage")]
    assert names
    assert all(":" in name and not name.endswith(":latest") for name in names)


def test_what_is_kept_in_a_volume_is_deleted_with_it_without_a_running_server(dev: Engine) -> None:
    kong = [request for request in dev.requests if request.type.startswith("kong:")]
    assert kong
    assert {request.wire.deletedWith for request in kong} == {dev.one("postgres-0", VOLUME).urn}
    assert dev.one("collection").wire.deletedWith == dev.one("qdrant-0", VOLUME).urn


def test_a_node_has_the_weight_that_the_stack_file_gives_it_where_processors_are_scarce(dev: Engine) -> None:
    heavier = run_program(qdrantCpus="4")
    shares = [engine.one("qdrant-0", CONTAINER).inputs["cpuShares"] for engine in (dev, heavier)]
    assert shares == [2048, 4096]
    assert dev.one("rag-service-0", CONTAINER).inputs["cpuShares"] == 1024


def test_the_gateway_and_the_roles_behind_it_agree_on_the_largest_body() -> None:
    asked = run_program("dev", gatewayMaxBodyMib="2", ragIngestMaxBodyMib="8")
    [limit] = [r for r in asked.of("plugin:Plugin") if r.inputs["name"] == "request-size-limiting"]
    assert json.loads(limit.inputs["configJson"])["allowed_payload_size"] == 2
    for role, most in (("rag-service-0", 2), ("rag-llamaindex-query-0", 2), ("rag-ingest-0", 8)):
        assert f"MAX_BODY_BYTES={most * 2**20}" in asked.one(role, CONTAINER).inputs["envs"]


def test_the_admin_api_asks_for_a_token_that_its_provider_sends(dev: Engine) -> None:
    provider = dev.one("admin", "pulumi:providers:kong")
    token = provider.inputs["kongAdminToken"]
    assert provider.is_secret("kongAdminToken")
    kong = dev.one("kong-0", CONTAINER)
    [guard] = [upload for upload in kong.inputs["uploads"] if upload["file"] == "/etc/kong/admin.conf"]
    assert f'if ($http_kong_admin_token != "{token}") {{' in guard["content"]
    assert kong.is_secret("uploads")
    assert {"KONG_NGINX_ADMIN_INCLUDE=/etc/kong/admin.conf", "KONG_ADMIN_GUI_URL=http://127.0.0.1:8001"} <= set(
        kong.inputs["envs"]
    )


def test_a_gateway_without_a_database_has_no_admin_api_and_no_token() -> None:
    asked = run_program("dev", gatewayBackend="dbless")
    assert not [request for request in asked.requests if request.name == "gatewayAdminToken"]
    assert not [env for env in asked.one("kong-0", CONTAINER).inputs["envs"] if "ADMIN_INCLUDE" in env]


def test_one_exporter_sees_every_disk_and_can_write_to_none(dev: Engine) -> None:
    volumes = {request.name for request in dev.of(":Volume")}
    [exporter] = [request for request in dev.of(CONTAINER) if request.name == "disk-exporter-0"]
    seen = {mount["containerPath"]: mount["readOnly"] for mount in exporter.inputs["volumes"]}
    assert seen == {f"/disks/{volume}": True for volume in volumes}
    assert {"qdrant-0", "postgres-0", "prometheus-0"} <= volumes


def test_the_exporter_of_postgresql_may_read_statistics_and_nothing_else(dev: Engine) -> None:
    exporter = dev.one("postgres-exporter-0", CONTAINER)
    role = dev.one("postgres-monitor-role", ":OneShot")
    assert "DATA_SOURCE_USER=monitor" in exporter.inputs["envs"]
    [password] = [upload["content"] for upload in exporter.inputs["uploads"]]
    assert role.inputs["files"]["/run/secrets/monitor-password"] == password
    assert role.is_secret("files")
    script = role.inputs["files"]["/etc/postgres/monitor_role.sh"]
    assert re.findall(r"GRANT (\w+) TO", script) == ["pg_monitor"]
    assert password not in str([role.inputs["command"], role.inputs["env"], script])
    assert dev.one("postgres-0", CONTAINER).urn in role.depends_on


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        ({"gatewayRateLimitPolicy": "redis"}, "gatewayRedisPassword"),
        ({"gatewayBackend": "database", "gatewayAdminPort": free_port()}, "gatewayAdminToken"),
        ({"gatewayBackend": "database", "gatewayAdminPort": free_port()}, "postgresMonitorPassword"),
    ],
)
def test_a_secret_that_a_setting_brings_keeps_nobody_from_changing_the_setting_back(
    settings: dict[str, str], secret: str
) -> None:
    engine = run_program("dev", protectData="true", **settings)
    made = {request.name: request.wire.protect for request in engine.of(":RandomPassword")}
    assert (made[secret], made["qdrantApiKey"]) == (False, True)
