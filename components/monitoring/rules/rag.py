"""Does the RAG service answer, in time, and what has it stopped calling?"""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules, events, metrics_missing

SERVING = "rag-service|llamaindex-query"


def rag_rules(promises: Promises) -> Rules:
    """Return what must hold of the three roles, of query latency and of the circuit breakers."""
    return (*_roles(), *_latency(promises), *_failures())


def _roles() -> Rules:
    return (
        Alert(
            name="RagServiceDown",
            expr=f'max by (job) (up{{job=~"{SERVING}"}}) == 0',
            severity="page",
            summary="No replica of a serving role of the RAG service answers",
            description="{{ $labels.job }} has failed every scrape for a minute (up is {{ $value }}).",
        ),
        metrics_missing("Rag", job="rag-service", metric="circuit_breaker_state"),
    )


def _latency(promises: Promises) -> Rules:
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
    )


def _failures() -> Rules:
    return (
        # An open breaker is half-open at each probe: three scrapes back, so that no probe hides it.
        Alert(
            name="CircuitBreakerOpen",
            expr="max by (job, name) (max_over_time(circuit_breaker_state[45s])) == 2",
            summary="A circuit breaker is open: the service answers 503 without trying",
            description="{{ $labels.job }} no longer calls {{ $labels.name }} (state {{ $value }}).",
        ),
        Alert(
            name="RagIngestFails",
            expr=events('rag_ingest_jobs_total{state="failed"}', "15m"),
            wait="0s",
            summary="An indexing job has failed",
            description="{{ $value | humanize }} jobs failed in a quarter of an hour; what they had written stays.",
        ),
    )
