"""The RAG service."""

from tests.unit.faults.fault import Fault, Series, of_job

API = {"job": "rag-service", "instance": "rag-service:3000"}


def rag(metric: str, values: str, **labels: str) -> Series:
    return of_job(**API, metric=metric, values=values, **labels)


def latencies(*, below_half_a_second: int) -> Series:
    counts = {"0.25": 0, "0.5": below_half_a_second, "1.0": 100, "+Inf": 100}
    found: Series = {}
    for le, count in counts.items():
        found |= rag("rag_query_duration_seconds_bucket", f"0+{count}x60", operation="search", le=le)
    return found


RAG = (
    Fault(  # one replica of two is no outage
        alert="RagServiceDown",
        series=rag("up", "0x60"),
        says="rag-service has failed every scrape for a minute (up is 0).",
        labels={"job": "rag-service"},
        nearly=rag("up", "0x60") | of_job("rag-service", "rag-service-1:3000", "up", "1x60"),
    ),
    Fault(
        alert="RagMetricsMissing",
        series=rag("up", "1x60"),
        says="rag-service:3000 sends no circuit_breaker_state: its alerts are silent (up is 1).",
        labels=API,
        nearly=rag("up", "1x60") | rag("circuit_breaker_state", "0x60", name="qdrant"),
    ),
    Fault(
        alert="RagLatencyHigh",
        series=latencies(below_half_a_second=90),
        says="P95 of search at rag-service is 750ms, 0.5s is promised.",
        labels={"job": "rag-service", "operation": "search"},
        nearly=latencies(below_half_a_second=96),
    ),
    Fault(  # it probes all the time, and every probe fails
        alert="CircuitBreakerOpen",
        series=rag("circuit_breaker_state", "2 2 1 " * 20, name="qdrant"),
        says="rag-service no longer calls qdrant (state 2).",
        labels={"job": "rag-service", "name": "qdrant"},
        nearly=rag("circuit_breaker_state", "0x10 2 1x5 0x40", name="qdrant"),
    ),
    Fault(  # the counter begins with the first failure
        alert="RagIngestFails",
        series=rag("rag_ingest_jobs_total", "_x30 1x30", state="failed"),
        says="1 jobs failed in a quarter of an hour; what they had written stays.",
        nearly=rag("rag_ingest_jobs_total", "_x30 1x30", state="done"),
        at="10m",
    ),
    Fault(
        alert="RagIngestFails",
        series=rag("rag_ingest_jobs_total", "0x30 1x30", state="failed"),
        says="1 jobs failed in a quarter of an hour; what they had written stays.",
        nearly=rag("rag_ingest_jobs_total", "0x30 9x30", state="done"),
        at="10m",
    ),
)
