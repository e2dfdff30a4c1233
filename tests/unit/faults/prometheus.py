"""Whoever watches."""

from components.monitoring.promises import REFERENCE_JOBS
from components.monitoring.rules.scraping import EXPECTED
from tests.unit.faults.fault import Fault, Series, of_job

ITSELF = {"job": "prometheus", "instance": "localhost:9090"}


def own(metric: str, values: str, **labels: str) -> Series:
    return of_job(**ITSELF, metric=metric, values=values, **labels)


def all_but(*missing: str) -> Series:
    found: Series = {}
    for job in (*EXPECTED, *REFERENCE_JOBS, "notes"):
        found |= {} if job in missing else of_job(job, f"{job}:1", "up", "1x60")
    return found


PROMETHEUS = (
    Fault(  # one replica of two is no outage
        alert="ServiceDown",
        series=of_job("notes", "notes-0:3000", "up", "0x60"),
        says="notes has failed every scrape for a minute (up is 0).",
        labels={"job": "notes"},
        nearly=of_job("notes", "notes-0:3000", "up", "0x60") | of_job("notes", "notes-1:3000", "up", "1x60"),
    ),
    Fault(  # Kong has an alert of its own
        alert="PrometheusTargetMissing",
        series=of_job("rag-ingest", "rag-ingest:8201", "up", "0x60"),
        says="rag-ingest:8201 of rag-ingest has failed every scrape for two minutes (up is 0).",
        labels={"job": "rag-ingest", "instance": "rag-ingest:8201"},
        nearly=of_job("kong", "kong:8100", "up", "0x60"),
    ),
    Fault(
        alert="PrometheusJobMissing",
        series=all_but("haproxy"),
        says="The job haproxy has no target at all (absent is 1).",
        labels={"job": "haproxy"},
        nearly=all_but(),
    ),
    Fault(
        alert="PrometheusBadConfiguration",
        series=own("prometheus_config_last_reload_successful", "0x60"),
        says="localhost:9090 could not reload (0).",
        labels=ITSELF,
        nearly=own("prometheus_config_last_reload_successful", "1x60"),
    ),
    Fault(
        alert="PrometheusRulesFail",
        series=own("prometheus_rule_evaluation_failures_total", "0+1x60", rule_group="rules/slo.yml;slo"),
        says="20 evaluations of rules/slo.yml;slo failed in five minutes.",
        labels={"rule_group": "rules/slo.yml;slo"},
        nearly=own("prometheus_rule_evaluation_failures_total", "3x60", rule_group="rules/slo.yml;slo"),
    ),
    Fault(
        alert="PrometheusRulesLate",
        series=own("prometheus_rule_group_iterations_missed_total", "0+1x60", rule_group="rules/slo.yml;slo"),
        says="20 evaluations of rules/slo.yml;slo were left out.",
        labels={"rule_group": "rules/slo.yml;slo"},
        nearly=own("prometheus_rule_group_iterations_missed_total", "3x60", rule_group="rules/slo.yml;slo"),
    ),
    Fault(
        alert="PrometheusStorageFails",
        series=own("prometheus_tsdb_wal_corruptions_total", "0 1x60"),
        says="localhost:9090: 1 failed compactions or corruptions.",
        labels=ITSELF,
        nearly=own("prometheus_tsdb_wal_corruptions_total", "2x60"),
    ),
    Fault(
        alert="PrometheusNotificationsFail",
        series=own("prometheus_notifications_errors_total", "0+1x60", alertmanager="http://alertmanager:9093"),
        says="20 alerts could not be sent to http://alertmanager:9093.",
        labels={"alertmanager": "http://alertmanager:9093"},
        nearly=own("prometheus_notifications_errors_total", "5x60", alertmanager="http://alertmanager:9093"),
    ),
)
