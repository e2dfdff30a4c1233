"""What alerts and dashboards compare a stack with: its own size, and the promises of slo/promises.yaml."""

from dataclasses import dataclass, field

from slo.promises import Promises as Budget

SCRAPE_SECONDS = 15
REFERENCE_JOBS = ("rag-service", "llamaindex-query", "rag-ingest")  # of the reference service's roles


@dataclass(frozen=True, kw_only=True)
class Promises:
    """The numbers that are promised; an alert fires when one is broken."""

    qdrant_nodes: int = 3
    replication_factor: int = 2
    qdrant_memory_mib: int = 1024
    scrape_seconds: int = SCRAPE_SECONDS  # the pace of scrapes, rules and alerts
    service_jobs: tuple[str, ...] = REFERENCE_JOBS  # of the services behind the gateway that have metrics
    budget: Budget = field(default_factory=Budget.read)

    @property
    def own_jobs(self) -> tuple[str, ...]:
        """Those of services other than the reference one: nothing is known of their metrics but whether they answer."""
        return tuple(job for job in self.service_jobs if job not in REFERENCE_JOBS)

    @property
    def qdrant_memory_bytes(self) -> int:
        return self.qdrant_memory_mib * 1024 * 1024

    @property
    def query_p95_seconds(self) -> float:
        """95 of 100 answers take no longer."""
        return self.budget.load.p95_ms / 1000
