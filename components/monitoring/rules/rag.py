"""Does the RAG service answer in time, and what has it stopped calling?"""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules


def rag_rules(promises: Promises) -> Rules:
    """Return what must hold of query latency and of the circuit breakers."""
    seconds = promises.query_p95_seconds
    buckets = "sum by (job, operation, le) (rate(rag_query_duration_seconds_bucket[5m]))"
    return (
        Recording("job_operation:rag_query_duration_seconds:p95_5m", f"histogram_quantile(0.95, {buckets})"),
        # Measured in the service, not at Kong: Kong's buckets jump from 400 to 700 ms and hold its own 401s and 429s.
        Alert(
            name="RagLatencyHigh",
            expr=f"job_operation:rag_query_duration_seconds:p95_5m > {seconds}",
            wait="5m",
            summary="RAG answers are slower than promised",
            description="P95 of {{ $labels.operation }} at {{ $labels.job }} is {{ $value | humanizeDuration }},"
            f" {seconds:g}s is promised.",
        ),
        # An open breaker is half-open at each probe: three scrapes back, so that no probe hides it.
        Alert(
            name="CircuitBreakerOpen",
            expr="max by (job, name) (max_over_time(circuit_breaker_state[45s])) == 2",
            summary="A circuit breaker is open: the service answers 503 without trying",
            description="{{ $labels.job }} no longer calls {{ $labels.name }} (state {{ $value }}).",
        ),
    )
