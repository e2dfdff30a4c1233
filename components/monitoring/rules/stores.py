"""Does PostgreSQL keep the gateway's configuration, and Valkey its counts? Silent in a stack without them."""

from components.monitoring.rules.rule import Alert, Rules, metrics_missing


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


def valkey_rules() -> Rules:
    """Return what must hold of what several Kong nodes count in together."""
    return (
        Alert(
            name="ValkeyDown",
            expr="redis_up == 0",
            summary="Valkey does not answer: Kong lets calls through uncounted",
            description="{{ $labels.instance }} cannot ask Valkey (up is {{ $value }}).",
        ),
        metrics_missing("Valkey", job="valkey", metric="redis_up"),
        # A maximum of 0 is none.
        Alert(
            name="ValkeyMemoryHigh",
            expr="redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9",
            wait="5m",
            summary="Valkey comes near its memory limit, where it drops counts or refuses them",
            description="{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory.",
        ),
        Alert(
            name="ValkeyRefusesConnections",
            expr="increase(redis_rejected_connections_total[10m]) > 0",
            wait="0s",
            summary="Valkey has refused connections of Kong",
            description="{{ $labels.instance }} refused {{ $value | humanize }} in ten minutes.",
        ),
    )
