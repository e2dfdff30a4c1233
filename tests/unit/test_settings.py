"""A stack file is checked whole, before anything is made: every mistake by its key, with what to do."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pulumi
import pytest
import yaml

from platforms.stack_file import PROJECT, read_stack_file
from settings import CREDENTIAL_KEYS, SECTIONS, Settings, known_keys, section_keys

DEV = Path("Pulumi.dev.yaml")
ROOMS = ("components", "platforms", "providers", "ops", "policies", "proof")
HANDED_OVER_WHOLE = {"collection"}  # to its provider, field by field in a loop


def mistakes(**overrides: object) -> str:
    with pytest.raises(pulumi.RunError) as refused:
        Settings.from_file(DEV, overrides)
    return str(refused.value)


def test_the_dev_stack_file_is_right() -> None:
    settings = Settings.from_file(DEV, {})
    assert (settings.qdrant.nodes, settings.collection.replication_factor) == (3, 2)


def test_every_declared_key_is_a_setting_and_every_setting_is_declared() -> None:
    declared = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    assert {key.removeprefix(f"{PROJECT}:") for key in declared} == known_keys()


def unread(sources: Iterable[str]) -> list[str]:
    """Keys of stack files whose field no source reads."""
    read = {node.attr for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    prefixes = SECTIONS.keys() - HANDED_OVER_WHOLE
    return sorted(key for prefix in prefixes for key, field in section_keys(prefix).items() if field not in read)


def test_every_setting_is_read() -> None:
    files = [*Path().glob("*.py"), *(path for room in ROOMS for path in Path(room).rglob("*.py"))]
    assert unread(file.read_text() for file in files) == []


def test_a_setting_that_is_not_read_would_be_seen() -> None:
    assert "kubernetesSecretName" in unread(["print(settings.gateway.nodes)"])
    assert "kubernetesSecretName" not in unread(["print(settings.kubernetes.secret_name)"])


def test_every_declared_key_has_a_description() -> None:
    declared = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    assert all(entry["description"] and entry["type"] for entry in declared.values())


def test_a_secret_in_plain_text_is_refused_and_an_encrypted_one_is_not() -> None:
    assert "pulumi config set --secret qdrantApiKey" in mistakes(qdrantApiKey="letmein")
    given = {key: entry["default"] for key, entry in _declared().items() if "default" in entry} | _dev_stack()
    assert Settings.from_config(given | {"qdrantApiKey": "letmein"}, encrypted={"qdrantApiKey"})


def _declared() -> dict[str, dict[str, object]]:
    declared = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): entry for key, entry in declared.items()}


def _dev_stack() -> dict[str, object]:
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in yaml.safe_load(DEV.read_text())["config"].items()}


def test_all_mistakes_are_reported_at_once() -> None:
    text = mistakes(qdrantNodes="4", imageKong="kong", qdrantHttpPort="many")
    assert "3 mistake(s)" in text
    assert all(key in text for key in ("qdrantNodes", "imageKong", "qdrantHttpPort"))


@pytest.mark.parametrize(
    ("overrides", "key", "advice"),
    [
        ({"qdrantNods": 3}, "qdrantNods", "did you mean qdrantNodes"),
        ({"qdrantNodes": 4}, "qdrantNodes", "odd number of nodes"),
        ({"qdrantNodes": 1}, "qdrantNodes", "3 or more"),
        ({"collectionReplicationFactor": 5}, "collectionReplicationFactor", "lower it, or add nodes"),
        ({"collectionWriteConsistencyFactor": 3}, "collection", "at most the replication factor"),
        ({"imageQdrant": "qdrant/qdrant:v1.7.4"}, "imageQdrant", "1.19.1 or later"),
        *(
            ({"imageQdrant": image}, "imageQdrant", "1.19.1 or later")
            for image in (
                *("qdrant/qdrant:v1", "qdrant/qdrant:v1.16", "qdrant/qdrant:v1.19", "mirror:5000/x/qdrant:v1.10.0"),
                *(f"qdrant/qdrant:v1.18.2@sha256:{'0' * 64}", "qdrant/qdrant:1.19.0-unprivileged"),
                *("qdrant/qdrant:v1.19.1-rc1", "ghcr.io/qdrant/qdrant:v1.9.9-gpu-nvidia"),
            )
        ),
        *(
            ({"imageQdrant": f"qdrant/qdrant:{tag}"}, "imageQdrant", "pinned")
            for tag in ("latest", "master", "dev", "edge", "nightly", "latest-unprivileged", "gpu-nvidia-latest")
        ),
        ({"imageKong": "kong:3.8.1-ubuntu"}, "imageKong", "Kong 3.9.0 or later"),
        ({"imageKong": "r.example:5000/kong:3.9"}, "imageKong", "Kong 3.9.0 or later"),
        ({"imagePostgres": "postgres:14.9"}, "imagePostgres", "PostgreSQL 15 or later"),
        ({"imageHaproxy": "haproxy:lts"}, "imageHaproxy", "pinned"),
        ({"imageKong": "kong"}, "imageKong", "pinned"),
        ({"imageKong": "kong:latest"}, "imageKong", "pinned"),
        ({"imageKong": "registry:5000/kong"}, "imageKong", "pinned"),
        ({"imageRag": "registry:5000/rag"}, "imageRag", "pinned"),
        ({"gatewayHttpPort": 6333}, "gatewayHttpPort", "already taken by qdrantHttpPort"),
        ({"gatewayHttpPort": 16334}, "qdrantNodePort (node 1)", "already taken by gatewayHttpPort"),
        ({"platform": "podman"}, "platform", "'docker'"),
    ],
)
def test_a_mistake_names_its_key_and_what_to_do(overrides: dict[str, object], key: str, advice: str) -> None:
    text = mistakes(**overrides)
    assert key in text
    assert advice in text


@pytest.mark.parametrize(
    "image",
    [
        *("qdrant/qdrant:v1.19.1", "mirror:5000/qdrant:v1.20.0-unprivileged", "qdrant/qdrant:v2.0.0-gpu-nvidia"),
        *(f"qdrant/qdrant@sha256:{'0' * 64}", "sandbox/qdrant:0669a1b2", "qdrant/qdrant:v1.19.1.1"),
    ],
)
def test_a_version_that_is_new_enough_or_built_here_is_accepted(image: str) -> None:
    assert Settings.from_file(DEV, {"imageQdrant": image}).image.qdrant == image


def test_a_digest_counts_as_pinned() -> None:
    image = f"kong:3.9.3@sha256:{'0' * 64}"
    assert Settings.from_file(DEV, {"imageKong": image}).image.kong == image


def test_no_two_sections_claim_the_same_key() -> None:
    keys = [key for prefix in SECTIONS for key in section_keys(prefix)]
    assert len(keys) == len(set(keys))


def test_an_image_may_be_pinned_by_its_digest_alone_and_none_may_be_left_out() -> None:
    assert Settings.from_file(DEV, {"imageKong": f"kong@sha256:{'0' * 64}"})
    assert "imageQdrant" in mistakes(imageQdrant="")


def test_what_a_platform_cannot_keep_is_refused_and_not_ignored() -> None:
    assert "gatewayNodes: expected 1 with platform docker" in mistakes(
        gatewayNodes=2, gatewayRateLimitPolicy="redis", imageValkey="valkey/valkey:8.1.4"
    )
    assert "Kubernetes builds nothing" in mistakes(platform="kubernetes")


def test_calls_are_not_counted_in_a_valkey_without_an_image() -> None:
    for key in ("imageValkey", "imageValkeyExporter"):
        assert f"{key}: expected an image" in mistakes(gatewayRateLimitPolicy="redis", **{key: ""})
    assert Settings.from_file(DEV, {"gatewayRateLimitPolicy": "redis", "gatewayRedisAddress": "mine:6379"})


def test_the_prod_stack_file_is_right() -> None:
    settings = Settings.from_file(Path("Pulumi.prod.yaml"), {})
    assert (settings.qdrant.nodes, settings.gateway.backend, settings.gateway.nodes) == (3, "dbless", 2)


def test_a_list_that_is_none_is_a_mistake_and_not_a_crash() -> None:
    assert "gatewayJwtKeys" in mistakes(gatewayJwtKeys="[broken")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  rag-platform:gatewayJwtKeys: [a]\n  rag-platform:gatewayJwtKeys: [b]", "gatewayJwtKeys a second time"),
        ("  collectionName: a\n  rag-platform:collectionName: b", "rag-platform:collectionName: expected it once"),
        ("  collectionName: {a: 1, b: 2, a: 3}", "the key a a second time"),
        ("  3: x", "a key that is no text, '3'"),
        ("  docker:host: there", "docker:host: no such key"),
        ("  rag-platform:qdrantNodes: [3", "expected YAML in Pulumi.dev.yaml, line"),
        ("- a list", "expected YAML in Pulumi.dev.yaml, line"),
    ],
)
def test_a_line_that_is_no_key_of_ours_is_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(Path("Pulumi.yaml").read_text())
    stack_file = tmp_path / "Pulumi.dev.yaml"
    stack_file.write_text(f"{DEV.read_text()}{line}\n")
    with pytest.raises(pulumi.RunError) as refused:
        Settings.from_file(stack_file, {})
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["no mapping", "config: none\n", "config: [a, b]\n"])
def test_a_file_without_keys_is_a_mistake_and_not_a_crash(tmp_path: Path, text: str) -> None:
    stack_file = tmp_path / "Pulumi.dev.yaml"
    stack_file.write_text(text)
    with pytest.raises(pulumi.RunError, match=r"expected `config:`"):
        read_stack_file(stack_file)


def test_what_a_secret_of_ones_own_holds_is_given_nowhere_else() -> None:
    given = {key: entry["default"] for key, entry in _declared().items() if "default" in entry} | _dev_stack()
    twice = given | {"kubernetesSecretName": "ours", "qdrantApiKey": "letmein"}
    with pytest.raises(pulumi.RunError, match="qdrantApiKey: expected it unset beside kubernetesSecretName"):
        Settings.from_config(twice, encrypted={"qdrantApiKey"})
    assert Settings.from_config(given | {"kubernetesSecretName": "ours"})


def test_a_prometheus_that_scrapes_is_let_in() -> None:
    told: dict[str, object] = {"kubernetesMonitoringOperator": True}
    assert "expected kubernetesMonitoringNamespace" in mistakes(**told)
    assert Settings.from_file(DEV, told | {"kubernetesMonitoringNamespace": "monitoring"})


INGRESS: dict[str, object] = {
    "kubernetesEdge": "ingress",
    "kubernetesEdgeHost": "rag.example.com",
    "kubernetesEdgeTlsSecret": "rag-tls",
    "gatewayTrustedProxies": ["10.244.0.0/16"],
}
BALANCER: dict[str, object] = {"kubernetesEdge": "loadbalancer", "kubernetesEdgeTlsSecret": "rag-tls"}


def test_a_whole_edge_is_right() -> None:
    for edge in (INGRESS, INGRESS | {"kubernetesEdgeTlsIssuer": "letsencrypt"}, BALANCER):
        assert Settings.from_file(DEV, edge)


@pytest.mark.parametrize(
    ("edge", "mistake"),
    [
        (
            BALANCER | {"kubernetesEdgeTlsSecret": ""},
            "expected kubernetesEdgeTlsSecret with kubernetesEdge loadbalancer",
        ),
        (
            BALANCER | {"kubernetesEdgeTlsIssuer": "le"},
            "expected no kubernetesEdgeTlsIssuer with kubernetesEdge loadbal",
        ),
        (
            BALANCER | {"kubernetesEdgeNamespace": "ingress"},
            "expected no kubernetesEdgeNamespace with kubernetesEdge lo",
        ),
        (
            BALANCER | {"kubernetesEdgeIngressClass": "nginx"},
            "expected no kubernetesEdgeIngressClass with kubernetesEdge",
        ),
        ({"kubernetesEdgeHost": "rag.example.com"}, "expected no kubernetesEdgeHost with kubernetesEdge none"),
        (INGRESS | {"kubernetesEdgeTlsSecret": ""}, "expected kubernetesEdgeTlsSecret with kubernetesEdge ingress"),
        (INGRESS | {"kubernetesEdgeHost": ""}, "expected kubernetesEdgeHost with an ingress"),
        (INGRESS | {"gatewayTrustedProxies": []}, "gatewayTrustedProxies: expected the addresses of the ingress contr"),
    ],
)
def test_an_edge_that_would_not_be_what_it_says_is_refused(edge: dict[str, object], mistake: str) -> None:
    assert mistake in mistakes(**edge)


def test_the_url_of_a_webhook_may_be_encrypted(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text((DEV.parent / "Pulumi.yaml").read_text())
    file = tmp_path / DEV.name
    secret = "  rag-platform:observabilityAlertWebhook: {secure: v1:abc}\n"
    file.write_text(DEV.read_text() + secret)
    assert Settings.from_file(file, {}).observability.alert_webhook.startswith("https://")
    file.write_text(DEV.read_text() + secret.replace("AlertWebhook", "PrometheusUrl"))
    with pytest.raises(pulumi.RunError, match="observabilityPrometheusUrl"):
        Settings.from_file(file, {})


@pytest.mark.parametrize("key", sorted(CREDENTIAL_KEYS))
def test_a_credential_in_plain_text_is_refused(key: str) -> None:
    mail = {"AlertMailTo": ["ops@example.com"], "AlertMailFrom": "rag@example.com", "AlertMailServer": "mail:587"}
    beside = {f"observability{name}": value for name, value in mail.items()} | {"observabilityAlertMailUser": "rag"}
    needs = beside if key.endswith("Password") else {"observabilityAlertWebhook": "http://pager.example"}
    found = mistakes(**needs | {key: "https://hooks.example/T0/B0/x"})
    assert f"{key}: expected a secret, found plain text; set it with pulumi config set --secret {key}" in found
    assert "hooks.example" not in found


@pytest.mark.parametrize("left_out", ["AlertMailTo", "AlertMailFrom", "AlertMailServer"])
def test_mail_needs_all_that_it_is_sent_with(left_out: str) -> None:
    mail = {"AlertMailTo": ["ops@example.com"], "AlertMailFrom": "rag@example.com", "AlertMailServer": "mail:587"}
    whole: dict[str, object] = {f"observability{name}": value for name, value in mail.items()}
    assert Settings.from_file(DEV, whole).observability.sends_alerts
    del whole[f"observability{left_out}"]
    assert "expected observabilityAlertMailTo, ...From and ...Server together" in mistakes(**whole)
    assert "observabilityAlertMailUser and" in mistakes(observabilityAlertMailUser="rag")


def test_alerts_are_not_sent_from_where_no_rule_is_judged() -> None:
    elsewhere: dict[str, object] = {"observabilityPrometheusUrl": "http://prometheus.example:9090"}
    assert "found none: without it no Alertmanager runs" in mistakes(observabilityAlertWatchdogUrl="http://switch")
    assert "sends alerts to its own Alertmanager" in mistakes(**elsewhere, observabilityAlertWebhook="http://pager")
    assert Settings.from_file(DEV, elsewhere)


def test_a_port_of_what_does_not_run_is_free_for_others() -> None:
    grafana: dict[str, object] = {"gatewayHttpPort": 3001}
    assert "already taken by" in mistakes(**grafana)
    assert Settings.from_file(DEV, grafana | {"observabilityGrafana": False})
    prometheus: dict[str, object] = {"gatewayHttpPort": 9090}
    assert "already taken by" in mistakes(**prometheus)
    assert Settings.from_file(DEV, prometheus | {"observabilityPrometheusUrl": "http://prometheus.example:9090"})
