"""Does Valkey keep the counts of the rate limit? Without one in the stack these rules are silent."""

from components.monitoring.rules.rule import Alert, Rules
from components.monitoring.rules.silence import metrics_missing


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
