"""What a fault looks like to Prometheus, in the notation of promtool: one value per step."""

from dataclasses import dataclass, field

Series = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Series in which an alert fires at the time `at`, how it then reads, and series that are nearly a fault."""

    alert: str
    series: Series
    says: str
    labels: dict[str, str] = field(default_factory=dict)
    nearly: Series
    at: str = "15m"
    step: str = "15s"  # of the samples and of the evaluations


def of_job(job: str, instance: str, metric: str, values: str, **labels: str) -> Series:
    """One series as it is scraped from one target."""
    more = "".join(f',{name.rstrip("_")}="{value}"' for name, value in labels.items())
    return {f'{metric}{{job="{job}",instance="{instance}"{more}}}': values}


def qdrant(metric: str, *values: str, **labels: str) -> Series:
    """One series per node."""
    found: Series = {}
    for n, value in enumerate(values):
        found |= of_job("qdrant-cluster", f"qdrant-{n}:6333", metric, value, node=f"qdrant-{n}", **labels)
    return found


def kong(metric: str, values: str, **labels: str) -> Series:
    return of_job("kong", "kong:8100", metric, values, **labels)


def requests(length: int = 60, **per_step: int) -> Series:
    """Answers of Kong by code: `_503=4` is four more of them each step."""
    found: Series = {}
    for code, count in per_step.items():
        found |= kong("kong_http_requests_total", f"0+{count}x{length}", code=code[1:])
    return found
