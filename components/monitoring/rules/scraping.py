"""Does Prometheus reach its targets, and does it do its own work?"""

from collections.abc import Sequence

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules

EXPECTED = ("qdrant-cluster", "haproxy", "kong")  # beside the services' own jobs
# The others page by themselves. Named one by one: a Prometheus of a whole cluster may have more jobs than ours.
WITHOUT_ALERT_OF_THEIR_OWN = ("rag-ingest", "prometheus", "postgres", "valkey", "edge", "disks", ".+-disks")


def scraping_rules(promises: Promises) -> Rules:
    """Return the share of reachable targets per job, and the alerts on those that are not reached."""
    return (
        Recording("job:up:ratio", "avg by (job) (up)"),
        Alert(
            name="PrometheusTargetMissing",
            expr=f'up{{job=~"{"|".join(WITHOUT_ALERT_OF_THEIR_OWN)}"}} == 0',
            wait="2m",
            summary="Prometheus cannot scrape a target",
            description="{{ $labels.instance }} of {{ $labels.job }} has failed every scrape for two minutes"
            " (up is {{ $value }}).",
        ),
        Alert(
            name="PrometheusJobMissing",
            expr=" or ".join(f'absent(up{{job="{job}"}})' for job in (*EXPECTED, *promises.service_jobs)),
            wait="5m",
            severity="page",  # replicas that are found by DNS and never started have no `up` that could be 0
            summary="A part of the stack has no target: it never started, or Prometheus does not scrape it",
            description="The job {{ $labels.job }} has no target at all (absent is {{ $value }}).",
        ),
        *_own_services(promises.own_jobs),
    )


def _own_services(jobs: Sequence[str]) -> Rules:
    if not jobs:
        return ()
    down = Alert(
        name="ServiceDown",
        expr=f'max by (job) (up{{job=~"{"|".join(jobs)}"}}) == 0',
        severity="page",
        summary="No replica of a service of yours answers",
        description="{{ $labels.job }} has failed every scrape for a minute (up is {{ $value }}).",
    )
    return (down,)


def prometheus_rules() -> Rules:
    """Return what must hold of our own Prometheus; a cluster's has rules of its own."""
    return (
        # Always fires: its absence at the receiver shows that no alert would reach it.
        Alert(
            name="Watchdog",
            expr="vector(1)",
            wait="0s",
            severity="none",
            summary="Rules are evaluated and alerts are sent",
            description="This alert always fires ({{ $value }}); when it stops, nobody is watching.",
        ),
        Alert(
            name="PrometheusBadConfiguration",
            expr="prometheus_config_last_reload_successful == 0",
            summary="Prometheus runs on an old configuration: the new one is wrong",
            description="{{ $labels.instance }} could not reload ({{ $value }}).",
        ),
        Alert(
            name="PrometheusRulesFail",
            expr="sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
            wait="5m",
            summary="Prometheus cannot evaluate rules: their alerts are silent",
            description="{{ $value | humanize }} evaluations of {{ $labels.rule_group }} failed in five minutes.",
        ),
        Alert(
            name="PrometheusRulesLate",
            expr="sum by (rule_group) (increase(prometheus_rule_group_iterations_missed_total[5m])) > 0",
            wait="5m",
            summary="Prometheus takes longer to evaluate rules than it has time",
            description="{{ $value | humanize }} evaluations of {{ $labels.rule_group }} were left out.",
        ),
        Alert(
            name="PrometheusStorageFails",
            expr="increase(prometheus_tsdb_compactions_failed_total[3h]) > 0"
            " or increase(prometheus_tsdb_wal_corruptions_total[3h]) > 0",
            wait="5m",
            summary="Prometheus has trouble with its disk",
            description="{{ $labels.instance }}: {{ $value | humanize }} failed compactions or corruptions.",
        ),
        Alert(
            name="PrometheusNotificationsFail",
            expr="sum by (alertmanager) (increase(prometheus_notifications_errors_total[5m])) > 0",
            wait="5m",
            summary="Alerts do not reach Alertmanager",
            description="{{ $value | humanize }} alerts could not be sent to {{ $labels.alertmanager }}.",
        ),
    )
