"""What the alerts and the dashboard's thresholds hold the platform to."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Promises:
    """The numbers that are promised; an alert fires when one is broken."""

    qdrant_nodes: int = 3
    replication_factor: int = 2
    query_p95_seconds: float = 0.5
    error_ratio: float = 0.05
