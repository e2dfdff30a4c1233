"""Prometheus, Alertmanager and Grafana start from these files: every part is scraped, and no secret stands in them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring.alertmanager import FOLLOWS, alertmanager_config, ports
from components.monitoring.exporters import KEPT_OF_POSTGRES
from components.monitoring.grafana import DASHBOARDS_DIR, grafana_env, grafana_files
from components.monitoring.prometheus import CONFIG_DIR, CONFIG_FILE, ITSELF, prometheus_files, token_files
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_files, rule_groups
from components.monitoring.rules.pace import duration_at_pace
from components.monitoring.rules.rule import Alert
from components.monitoring.rules.scraping import WITHOUT_ALERT_OF_THEIR_OWN
from platforms.monitoring_targets import ScrapeJob
from platforms.workload import AllowedConnection
from tests.unit.declaring import alerting
from tests.unit.metric_catalogue import Catalogue


def job(name: str, *addresses: str, **more: Any) -> ScrapeJob:
    target = AllowedConnection(name=name, port=int(addresses[0].rpartition(":")[2]))
    return ScrapeJob(name=name, target=target, addresses=addresses, **more)


NODES = ("qdrant-0:6333", "qdrant-1.qdrant.rag.svc:6333")
SCRAPE_JOBS = (
    job("qdrant-cluster", *NODES, bearer="a key", bearer_file="qdrant-read-only-key", labels_nodes=True),
    job("haproxy", "haproxy:8404"),
    job("kong", "dns+kong-replicas:8100"),
    job("rag-service", "rag-service:3000"),
    job("llamaindex-query", "rag-llamaindex-query:8000"),
    job("rag-ingest", "rag-ingest:8201"),
    ITSELF,
    job("postgres", "postgres-exporter:9187", keeps=KEPT_OF_POSTGRES),
    job("valkey", "valkey-exporter:9121"),
)
FILES = prometheus_files(SCRAPE_JOBS, Promises(), ("alertmanager:9093",))
CONFIG = yaml.safe_load(FILES[CONFIG_FILE])
JOBS = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
ALERTS = {rule.name: rule for rules in rule_groups(Promises()).values() for rule in rules if isinstance(rule, Alert)}
WEBHOOK = "http://pager.example:8080/alerts"


def run(*command: str | Path) -> str:
    """Return what a checker printed, or fail with it."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_part_is_scraped_every_15_seconds() -> None:
    assert CONFIG["global"] == {"scrape_interval": "15s", "scrape_timeout": "10s", "evaluation_interval": "15s"}
    parts = ["qdrant-cluster", "haproxy", "kong", "rag-service", "llamaindex-query", "rag-ingest", "prometheus"]
    assert list(JOBS) == [*parts, "postgres", "valkey"]


def test_a_job_that_is_not_reached_has_an_alert_of_its_own_or_is_in_the_one_for_all_others() -> None:
    down = " ".join(alert.expr for name, alert in ALERTS.items() if name.endswith("Down"))
    for job in JOBS:
        own = re.search(rf'up{{job=~?"[^"]*\b{job}\b[^"]*"}}', down) is not None
        assert own is (job not in WITHOUT_ALERT_OF_THEIR_OWN), job


def test_each_qdrant_node_is_scraped_by_itself_with_a_key_from_a_file() -> None:
    qdrant = JOBS["qdrant-cluster"]
    assert qdrant["static_configs"] == [{"targets": list(NODES)}]
    assert qdrant["authorization"] == {"type": "Bearer", "credentials_file": "secrets/qdrant-read-only-key"}
    assert "a key" not in str(FILES)
    assert token_files(SCRAPE_JOBS) == {"/etc/prometheus/secrets/qdrant-read-only-key": "a key"}
    assert [name for name, job in JOBS.items() if "authorization" in job] == ["qdrant-cluster"]


@pytest.mark.parametrize("address", NODES)
def test_a_node_has_the_same_name_on_docker_and_on_kubernetes(address: str) -> None:
    (rule,) = JOBS["qdrant-cluster"]["relabel_configs"]
    match = re.fullmatch(rule["regex"], address)
    assert match is not None
    assert match[1] == address[: len("qdrant-n")]


def test_what_is_kept_of_the_postgres_exporter_is_all_that_rules_and_panels_ask_for() -> None:
    sent = [name for name in Catalogue.read().series if name.startswith("pg_")]
    dropped = {name for name in sent if not re.fullmatch(KEPT_OF_POSTGRES, name)}
    asked = " ".join((*rule_files(Promises()).values(), *grafana_files("http://p", Promises()).values()))
    assert dropped
    assert {name for name in dropped if re.search(rf"\b{name}\b", asked)} == set()


def test_prometheus_accepts_its_configuration(promtool: str, tmp_path: Path) -> None:
    for path, content in (FILES | token_files(SCRAPE_JOBS)).items():
        placed = tmp_path / Path(path).relative_to(CONFIG_DIR)
        placed.parent.mkdir(exist_ok=True)
        placed.write_text(str(content))
    files = len(rule_groups(Promises()))
    assert f"{files} rule files found" in run(promtool, "check", "config", tmp_path / "prometheus.yml")


@pytest.mark.parametrize("scrape_seconds", [1, 15])
def test_prometheus_accepts_every_rule_at_any_pace(promtool: str, tmp_path: Path, scrape_seconds: int) -> None:
    for name, content in rule_files(Promises(scrape_seconds=scrape_seconds)).items():
        (tmp_path / name).write_text(content)
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(tmp_path.iterdir()))


def test_a_rule_that_is_no_promql_is_refused(promtool: str, tmp_path: Path) -> None:
    broken = tmp_path / "rag.yml"
    broken.write_text(rule_files(Promises())["rag.yml"].replace("histogram_quantile(", "histogram_quantil("))
    with pytest.raises(AssertionError, match="unknown function"):
        run(promtool, "check", "rules", broken)


@pytest.mark.parametrize(
    ("text", "at_five_seconds"),
    [("5m", "100s"), ("[1h]", "[1200s]"), ("offset 1m", "offset 20s"), ("0s", "1s"), ("p95_5m", "p95_5m")],
)
def test_durations_follow_the_pace(text: str, at_five_seconds: str) -> None:
    assert duration_at_pace(text, 5) == at_five_seconds
    assert duration_at_pace(text, 15) == text


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


@pytest.fixture
def alertmanager(tmp_path: Path) -> Path:
    """Alertmanager's configuration, as a file."""
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager_config(alerting(alert_webhook=WEBHOOK)))
    return file


def test_alertmanager_accepts_its_configuration(amtool: str, alertmanager: Path) -> None:
    assert "SUCCESS" in run(amtool, "check-config", alertmanager)


EVERY_RECEIVER = {
    "alert_webhook": WEBHOOK,
    "alert_slack_url": "https://hooks.example/T0/B0/x",
    "alert_pagerduty_key": "0123456789abcdef",
    "alert_mail_to": ("ops@example.com", "night@example.com"),
    "alert_mail_from": "rag@example.com",
    "alert_mail_server": "mail.example.com:587",
    "alert_mail_user": "rag",
    "alert_mail_password": "pa: 'ss#",
}


def test_alertmanager_accepts_every_kind_of_receiver(amtool: str, alertmanager: Path) -> None:
    told = alerting(**EVERY_RECEIVER)
    alertmanager.write_text(alertmanager_config(told))
    assert "SUCCESS" in run(amtool, "check-config", alertmanager)
    pages, tickets = yaml.safe_load(alertmanager.read_text())["receivers"][1:]
    kinds = {"name", "webhook_configs", "slack_configs", "pagerduty_configs", "email_configs"}
    assert set(pages) == set(tickets) == kinds
    assert [each["pagerduty_configs"][0]["severity"] for each in (pages, tickets)] == ["critical", "warning"]
    assert pages["email_configs"][0]["auth_password"] == told.alert_mail_password
    assert ports(told) == (443, 587, 8080)


@pytest.mark.parametrize("key", ["alert_webhook", "alert_slack_url", "alert_pagerduty_key", "alert_mail_to"])
def test_one_receiver_is_enough(amtool: str, alertmanager: Path, key: str) -> None:
    mail = {name: value for name, value in EVERY_RECEIVER.items() if key == "alert_mail_to" and "mail" in name}
    told = alerting(**{key: EVERY_RECEIVER[key], **mail})
    assert told.sends_alerts
    alertmanager.write_text(alertmanager_config(told))
    assert "SUCCESS" in run(amtool, "check-config", alertmanager)


def test_without_a_receiver_there_is_no_alertmanager() -> None:
    assert not alerting().sends_alerts


def test_a_configuration_that_is_wrong_is_refused(amtool: str, alertmanager: Path) -> None:
    alertmanager.write_text(alertmanager.read_text().replace("receiver: unsent", "receiver: misspelt", 1))
    with pytest.raises(AssertionError, match="undefined receiver"):
        run(amtool, "check-config", alertmanager)


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket"), ("none", "unsent")])
def test_the_severity_decides_the_receiver(amtool: str, alertmanager: Path, severity: str, receiver: str) -> None:
    told = run(
        amtool, "config", "routes", "test", f"--config.file={alertmanager}", f"severity={severity}", "alertname=X"
    )
    assert told.strip() == receiver


def test_the_watchdog_goes_to_its_own_url_and_no_other_alert_does(amtool: str, alertmanager: Path) -> None:
    told = alerting(alert_webhook=WEBHOOK, alert_watchdog_url="http://switch.example/ping")
    alertmanager.write_text(alertmanager_config(told))
    test = (amtool, "config", "routes", "test", f"--config.file={alertmanager}", "severity=none")
    assert run(*test, "alertname=Watchdog").strip() == "watchdog"
    assert run(*test, "alertname=Other").strip() == "unsent"


def test_what_is_kept_quiet_are_alerts_that_exist_and_never_a_worse_one() -> None:
    for worse, then in FOLLOWS:
        for name in (*worse.split("|"), *then.split("|")):
            assert name in ALERTS
        assert {ALERTS[name].severity for name in worse.split("|")} == {"page"}
