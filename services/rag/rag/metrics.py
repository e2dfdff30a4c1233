"""What Prometheus may ask."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one service; all series with known labels exist from the start."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, never asked for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("rag_requests", "Requests by operation and status.", "operation", "code")
        self.duration = Histogram(
            "rag_query_duration_seconds",
            "Time to a good answer; refusals and failures are counted in rag_requests_total instead.",
            ["operation"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.breaker_state = Gauge(
            "circuit_breaker_state", "0 closed, 1 half-open, 2 open.", ["name"], registry=self.registry
        )
        self.breaker_failures = self._counter("circuit_breaker_failures", "Failed calls to a dependency.", "name")
        self.documents = self._counter("rag_ingest_documents", "Documents by what became of them.", "outcome")
        self.chunks = self._counter("rag_ingest_chunks", "Chunks that Qdrant acknowledged.", "outcome")
        self.jobs = self._counter("rag_ingest_jobs", "Ended jobs.", "state")
        self.write_retries = self._counter("rag_ingest_write_retries", "Writes tried again after a passing failure.")
        self._start()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _start(self) -> None:
        for operation in ("search", "query"):
            self.duration.labels(operation)
            self.requests.labels(operation, "200")
        for counter, outcomes in (
            (self.documents, ("indexed", "skipped")),
            (self.chunks, ("written", "unchanged")),
            (self.jobs, ("done", "failed")),
        ):
            for outcome in outcomes:
                counter.labels(outcome)
