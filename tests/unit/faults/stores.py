"""PostgreSQL and Valkey, through their exporters."""

from tests.unit.faults.fault import Fault, Series, of_job

POSTGRES = {"job": "postgres", "instance": "postgres-exporter:9187"}
VALKEY = {"job": "valkey", "instance": "valkey-exporter:9121"}


def postgres(metric: str, values: str, **labels: str) -> Series:
    return of_job(**POSTGRES, metric=metric, values=values, **labels)


def valkey(metric: str, values: str) -> Series:
    return of_job(**VALKEY, metric=metric, values=values)


def connections(count: int) -> Series:
    used = postgres("pg_stat_activity_count", f"{count}x60", datname="kong", state="idle")
    return used | postgres("pg_settings_max_connections", "100x60", server="postgres:5432")


def memory(used: int, most: int) -> Series:
    return valkey("redis_memory_used_bytes", f"{used}x60") | valkey("redis_memory_max_bytes", f"{most}x60")


STORES = (
    Fault(
        alert="PostgresDown",
        series=postgres("pg_up", "0x60"),
        says="postgres-exporter:9187 cannot ask PostgreSQL (up is 0).",
        labels=POSTGRES,
        nearly=postgres("pg_up", "1x20 0x2 1x40"),
    ),
    Fault(
        alert="PostgresMetricsMissing",
        series=postgres("up", "1x60"),
        says="postgres-exporter:9187 sends no pg_up: its alerts are silent (up is 1).",
        labels=POSTGRES,
        nearly=postgres("up", "1x60") | postgres("pg_up", "1x60"),
    ),
    Fault(
        alert="PostgresConnectionsRunOut",
        series=connections(90),
        says="90% of the connections are in use.",
        labels={"instance": "postgres-exporter:9187"},
        nearly=connections(80),
    ),
    Fault(
        alert="PostgresDeadlocks",
        series=postgres("pg_stat_database_deadlocks", "0x30 1x30", datname="kong"),
        says="1 deadlocks in kong in ten minutes.",
        labels={"datname": "kong"},
        nearly=postgres("pg_stat_database_deadlocks", "4x60", datname="kong"),
        at="10m",
    ),
    Fault(
        alert="ValkeyDown",
        series=valkey("redis_up", "0x60"),
        says="valkey-exporter:9121 cannot ask Valkey (up is 0).",
        labels=VALKEY,
        nearly=valkey("redis_up", "1x20 0x2 1x40"),
    ),
    Fault(
        alert="ValkeyMetricsMissing",
        series=valkey("up", "1x60"),
        says="valkey-exporter:9121 sends no redis_up: its alerts are silent (up is 1).",
        labels=VALKEY,
        nearly=valkey("up", "1x60") | valkey("redis_up", "1x60"),
    ),
    Fault(  # a maximum of 0 is none
        alert="ValkeyMemoryHigh",
        series=memory(95, 100),
        says="valkey-exporter:9121 uses 95% of its memory.",
        labels=VALKEY,
        nearly=memory(95, 0),
    ),
    Fault(
        alert="ValkeyRefusesConnections",
        series=valkey("redis_rejected_connections_total", "0x30 2x30"),
        says="valkey-exporter:9121 refused 2 in ten minutes.",
        labels=VALKEY,
        nearly=valkey("redis_rejected_connections_total", "4x60"),
        at="10m",
    ),
)
