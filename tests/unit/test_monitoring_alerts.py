"""Real Prometheus rule evaluation: each alert fires when it should, and keeps silent in a case that is nearly one."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components.monitoring.prometheus import CONFIG_DIR, QDRANT_KEY_FILE, ScrapeTargets, prometheus_files
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_files, rule_groups
from components.monitoring.rules.rule import Alert

PROMISES = Promises()
ALERTS = {rule.name: rule for rules in rule_groups(PROMISES).values() for rule in rules if isinstance(rule, Alert)}
EACH_SCRAPE = range(0, 15 * 60, 15)

Series = dict[str, str]


def qdrant(metric: str, *values: str, **labels: str) -> Series:
    """Return one series per node, in the notation of promtool: one value per 15 s scrape."""
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    return {
        f'{metric}{{job="qdrant-cluster",instance="qdrant-{n}:6333",node="qdrant-{n}"{more}}}': value
        for n, value in enumerate(values)
    }


def kong(metric: str, values: str, labels: str = "") -> Series:
    return {f'{metric}{{job="kong",instance="kong:8100"{labels}}}': values}


def requests(**per_scrape: int) -> Series:
    return {
        name: values
        for code, count in per_scrape.items()
        for name, values in kong("kong_http_requests_total", f"0+{count}x60", f',code="{code[1:]}"').items()
    }


def target_health(state: str) -> Series:
    where = ',upstream="rag",target="rag-service:3000",address="10.0.0.2:3000"'
    return kong("kong_upstream_target_health", "1x60", f'{where},state="{state}"')


def haproxy(active: int, *, backend: str = "qdrant_http", with_servers: bool = True) -> Series:
    labels = f'job="haproxy",instance="haproxy:8404",proxy="{backend}"'
    server = {f'haproxy_server_status{{{labels},server="qdrant-0",state="DOWN"}}': "1x60"}
    counts = {f"haproxy_backend_active_servers{{{labels}}}": f"{active}x60"}
    return counts | {f"haproxy_backend_backup_servers{{{labels}}}": "0x60"} | (server if with_servers else {})


def breaker(values: str) -> Series:
    return {'circuit_breaker_state{job="rag-service",instance="rag-service:3000",name="qdrant"}': values}


def latencies(*, below_half_a_second: int) -> Series:
    labels = 'job="rag-service",instance="rag-service:3000",operation="search"'
    counts = {"0.25": 0, "0.5": below_half_a_second, "1.0": 100, "+Inf": 100}
    return {f'rag_query_duration_seconds_bucket{{{labels},le="{le}"}}': f"0+{count}x60" for le, count in counts.items()}


def up(job: str, instance: str, values: str) -> Series:
    return {f'up{{job="{job}",instance="{instance}"}}': values}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Series in which an alert fires, how it then reads, and series that are nearly a fault and are none."""

    alert: str
    series: Series
    says: str
    labels: dict[str, str] = field(default_factory=dict)
    nearly: Series


NODE_1 = {"job": "qdrant-cluster", "instance": "qdrant-1:6333", "node": "qdrant-1"}
KONG = {"job": "kong", "instance": "kong:8100"}

FAULTS = [
    Fault(
        alert="QdrantNodeDown",
        series=qdrant("up", "1x60", "0x60", "1x60"),
        says="qdrant-1 has failed every scrape for a minute (up is 0).",
        labels=NODE_1,
        nearly=qdrant("up", "1x60", "1x20 0x2 1x40", "1x60"),
    ),
    Fault(
        alert="QdrantQuorumLost",
        series=qdrant("up", "0x60", "0x60", "1x60"),
        says="1 of 3 nodes answer, 2 are needed.",
        nearly=qdrant("up", "0x60", "1x60", "1x60"),
    ),
    Fault(  # the loss of everything is not silent
        alert="QdrantQuorumLost",
        series=up("prometheus", "localhost:9090", "1x60"),
        says="0 of 3 nodes answer, 2 are needed.",
        nearly=qdrant("up", "1x60", "1x60", "1x60"),
    ),
    Fault(
        alert="QdrantPeersMissing",
        series=qdrant("cluster_peers_total", "3x60", "3x60", "1x60"),
        says="A node counts 1 peers instead of 3.",
        nearly=qdrant("cluster_peers_total", "3x60", "3x60", "1x16 3x60"),
    ),
    Fault(  # a peer that was replaced and never removed
        alert="QdrantPeersMissing",
        series=qdrant("cluster_peers_total", "4x60", "4x60", "4x60"),
        says="A node counts 4 peers instead of 3.",
        nearly=qdrant("cluster_peers_total", "3x60", "3x60", "3x60"),
    ),
    Fault(
        alert="QdrantConsensusStopped",
        series=qdrant("cluster_working_state", "0x60", "1x60", state="stopped"),
        says="qdrant-1 serves data but hears no more of the cluster (stopped is 1).",
        labels=NODE_1 | {"state": "stopped"},
        nearly=qdrant("cluster_working_state", "1x60", "1x60", state="working"),
    ),
    Fault(
        alert="QdrantConsensusLag",
        series=qdrant("cluster_commit", "100x60", "100x60", "89x60", peer_id="7"),
        says="The slowest node is 11 committed entries behind the fastest.",
        nearly=qdrant("cluster_commit", "100x60", "100x60", "90x60", peer_id="7"),
    ),
    Fault(  # three nodes report the same two shards
        alert="QdrantReplicaDead",
        series=qdrant("collection_dead_replicas", "2x60", "2x60", "2x60"),
        says="2 shards have a replica that is dead or still recovering.",
        nearly=qdrant("collection_dead_replicas", "2x18 0x40", "2x18 0x40", "2x18 0x40"),
    ),
    Fault(
        alert="QdrantUnderReplicated",
        series=qdrant("collection_active_replicas_min", "1x60") | qdrant("collections_total", "1x60"),
        says="A shard has 1 Active copies instead of 2.",
        nearly=qdrant("collection_active_replicas_min", "0x60") | qdrant("collections_total", "0x60"),
    ),
    Fault(
        alert="GatewayErrorRateHigh",
        series=requests(_200=90, _503=10),
        says="10% of requests fail, 5% may.",
        nearly=requests(_200=96, _503=4),
    ),
    Fault(  # 401 and 429 are the gateway at work
        alert="GatewayErrorRateHigh",
        series=requests(_500=1),
        says="100% of requests fail, 5% may.",
        nearly=requests(_200=1, _401=50, _429=50),
    ),
    Fault(
        alert="KongDown",
        series=kong("up", "0x60"),
        says="kong:8100 has failed every scrape for a minute (up is 0).",
        labels=KONG,
        nearly=kong("up", "1x20 0x2 1x40"),
    ),
    Fault(
        alert="KongTargetUnhealthy",
        series=target_health("unhealthy"),
        says="rag-service:3000 of rag fails its health checks (1).",
        labels={"upstream": "rag", "target": "rag-service:3000"},
        nearly=target_health("healthy"),
    ),
    Fault(  # every third scrape fails as well
        alert="KongDatastoreUnreachable",
        series=kong("kong_datastore_reachable", "0 0 stale " * 20),
        says="kong:8100 has lost PostgreSQL (reachable is 0).",
        labels=KONG,
        nearly=kong("kong_datastore_reachable", "1 1 stale " * 20),
    ),
    Fault(
        alert="HAProxyNoServer",
        series=haproxy(active=0),
        says="qdrant_http has 0 usable servers; every request to it gets a 503.",
        labels={"job": "haproxy", "instance": "haproxy:8404", "proxy": "qdrant_http"},
        nearly=haproxy(active=1) | haproxy(active=0, backend="stats", with_servers=False),
    ),
    Fault(  # it probes all the time, and every probe fails
        alert="CircuitBreakerOpen",
        series=breaker("2 2 1 " * 20),
        says="rag-service no longer calls qdrant (state 2).",
        labels={"job": "rag-service", "name": "qdrant"},
        nearly=breaker("0x10 2 1x5 0x40"),
    ),
    Fault(
        alert="RagLatencyHigh",
        series=latencies(below_half_a_second=90),
        says="P95 of search at rag-service is 750ms, 0.5s is promised.",
        labels={"job": "rag-service", "operation": "search"},
        nearly=latencies(below_half_a_second=96),
    ),
    Fault(
        alert="PrometheusTargetMissing",
        series=up("rag-ingest", "rag-ingest:8201", "0x60"),
        says="rag-ingest:8201 of rag-ingest has failed every scrape for two minutes (up is 0).",
        labels={"job": "rag-ingest", "instance": "rag-ingest:8201"},
        nearly=up("kong", "kong:8100", "0x60"),
    ),
]

RECORDINGS: list[tuple[Series, str, float | None]] = [
    (requests(_200=10), "gateway:errors:ratio_rate5m", 0),
    (requests(_200=3, _503=1), "gateway:errors:ratio_rate5m", 0.25),
    (requests(_200=0), "gateway:errors:ratio_rate5m", None),
    (qdrant("up", "1x60", "1x60", "0x60"), "qdrant_cluster_nodes_up", 2),
    (kong("up", "1x60") | up("kong", "kong-1:8100", "0x60"), 'job:up:ratio{job="kong"}', 0.5),
]
EACH_FAULT = pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.alert for fault in FAULTS])
WRONG = "a wrong expectation"


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return the checker that comes with Prometheus."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    missing = "promtool is not on PATH: install the prometheus package (apt-get install prometheus)"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def run(promtool: str, *arguments: str | Path) -> str:
    """Return what promtool printed, or fail with it."""
    done = subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scenario(name: str, series: Series, *expected: Mapping[str, object]) -> dict[str, object]:
    """Return a test as promtool reads it: `series`, scraped every 15 s, and what must fire when."""
    inputs = [{"series": key, "values": values.strip()} for key, values in series.items()]
    return {"name": name, "interval": "15s", "input_series": inputs, "alert_rule_test": expected}


def fires(fault: Fault) -> dict[str, object]:
    alert = ALERTS[fault.alert]
    notes = {"summary": alert.summary, "description": fault.says}
    notes["runbook_url"] = f"docs/runbooks.md#{alert.name.lower()}"
    firing = {"exp_labels": {"severity": alert.severity, **fault.labels}, "exp_annotations": notes}
    return {"alertname": alert.name, "eval_time": "15m", "exp_alerts": [firing]}


def silent(fault: Fault) -> list[dict[str, object]]:
    return [{"alertname": fault.alert, "eval_time": f"{seconds}s", "exp_alerts": []} for seconds in EACH_SCRAPE]


def recording(series: Series, expr: str, value: float | None) -> dict[str, object]:
    samples = [] if value is None else [{"labels": expr, "value": value}]
    expected = {"expr": expr, "eval_time": "15m", "exp_samples": samples}
    return scenario(expr, series) | {"promql_expr_test": [expected]}


@pytest.fixture(scope="session")
def failures(promtool: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what promtool finds wrong when it evaluates the real rules over every fault, by scenario.

    One scenario is wrong on purpose: were it not found, nothing would have been evaluated.
    """
    folder = tmp_path_factory.mktemp("rules")
    files = rule_files(PROMISES)
    for name, content in files.items():
        (folder / name).write_text(content)
    broken = [scenario(f"fault {n} fires", fault.series, fires(fault)) for n, fault in enumerate(FAULTS)]
    whole = [scenario(f"fault {n} is silent", fault.nearly, *silent(fault)) for n, fault in enumerate(FAULTS)]
    recorded = [recording(*case) for case in RECORDINGS]
    tests = [*broken, *whole, *recorded, scenario(WRONG, FAULTS[0].nearly, fires(FAULTS[0]))]
    (folder / "tests.json").write_text(
        json.dumps({"rule_files": list(files), "evaluation_interval": "15s", "tests": tests})
    )
    command = [promtool, "test", "rules", str(folder / "tests.json")]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr
    assert f"name: {WRONG}," in found, found
    return found


@EACH_FAULT
def test_an_alert_fires_and_says_what_it_saw(number: int, failures: str) -> None:
    assert f"name: fault {number} fires," not in failures, failures


@EACH_FAULT
def test_an_alert_is_silent_when_it_is_nearly_a_fault(number: int, failures: str) -> None:
    assert f"name: fault {number} is silent," not in failures, failures


@pytest.mark.parametrize("expr", {expr: None for _, expr, _ in RECORDINGS})
def test_a_recording_holds_what_it_is_named_for(expr: str, failures: str) -> None:
    assert f"expr: {json.dumps(expr)}," not in failures, failures


def test_every_alert_was_seen_firing() -> None:
    assert {fault.alert for fault in FAULTS} == set(ALERTS)


def test_prometheus_accepts_its_configuration(promtool: str, tmp_path: Path) -> None:
    targets = ScrapeTargets(
        qdrant_cluster=("qdrant-0:6333", "qdrant-1:6333", "qdrant-2:6333"),
        haproxy=("haproxy:8404",),
        kong=("kong:8100",),
        rag_service=("rag-service:3000",),
        llamaindex_query=("rag-llamaindex-query:8000",),
        rag_ingest=("rag-ingest:8201",),
    )
    files = prometheus_files(targets, PROMISES) | {QDRANT_KEY_FILE: "a key"}
    for path, content in files.items():
        placed = tmp_path / Path(path).relative_to(CONFIG_DIR)
        placed.parent.mkdir(exist_ok=True)
        placed.write_text(content)
    assert "4 rule files found" in run(promtool, "check", "config", tmp_path / "prometheus.yml")


def test_prometheus_accepts_every_rule(promtool: str, tmp_path: Path) -> None:
    for name, content in rule_files(PROMISES).items():
        (tmp_path / name).write_text(content)
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(tmp_path.iterdir()))


def test_a_rule_that_is_no_promql_is_refused(promtool: str, tmp_path: Path) -> None:
    broken = tmp_path / "rag.yml"
    broken.write_text(rule_files(PROMISES)["rag.yml"].replace("histogram_quantile(", "histogram_quantil("))
    with pytest.raises(AssertionError, match="unknown function"):
        run(promtool, "check", "rules", broken)
