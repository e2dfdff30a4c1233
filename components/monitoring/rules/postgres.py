"""Does PostgreSQL keep the gateway's configuration? Without an exporter in the stack these rules are silent."""

from components.monitoring.rules.rule import Alert, Rules
from components.monitoring.rules.silence import metrics_missing


def postgres_rules() -> Rules:
    """Return what must hold of the gateway's database; traffic flows on without it, so nothing here pages."""
    return (
        Alert(
            name="PostgresDown",
            expr="pg_up == 0",
            summary="PostgreSQL does not answer: the gateway cannot be changed",
            description="{{ $labels.instance }} cannot ask PostgreSQL (up is {{ $value }}).",
        ),
        metrics_missing("Postgres", job="postgres", metric="pg_up"),
        Alert(
            name="PostgresConnectionsRunOut",
            expr="sum by (instance) (pg_stat_activity_count) / sum by (instance) (pg_settings_max_connections) > 0.8",
            wait="5m",
            summary="PostgreSQL has few connections left",
            description="{{ $value | humanizePercentage }} of the connections are in use.",
        ),
        Alert(
            name="PostgresDeadlocks",
            expr="sum by (datname) (increase(pg_stat_database_deadlocks[10m])) > 0",
            wait="0s",
            summary="Transactions of PostgreSQL block each other",
            description="{{ $value | humanize }} deadlocks in {{ $labels.datname }} in ten minutes.",
        ),
    )
