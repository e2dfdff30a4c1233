"""What watching costs: `python -m tests.bench.measure_observability`, on the live tests' stack as it stands.

Prints the series of each component at rest and under load, Prometheus' memory, how long scrapes take, and how long the
queries of the overview take on as many samples as an hour has at a scrape every 15 seconds. Judges nothing.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from components.monitoring.dashboards import dashboard_files
from components.monitoring.promises import SCRAPE_SECONDS, Promises
from ops.status import parts_note
from proof.targets.proof_stack import without_rate_limits
from tests.live.callers import Callers
from tests.live.conftest import LiveStack, live_stack

PACE_SECONDS = 1
SAMPLES = 3600 // SCRAPE_SECONDS  # of an hour at the ordinary pace
LOAD_SECONDS = SAMPLES * PACE_SECONDS
REPEATED = 5


def main() -> None:
    """Bring the stack up at its quickest pace, look at it at rest, load it for as long as an hour's samples take."""
    stack = live_stack()
    stack.up(observabilityScrapeSeconds=str(PACE_SECONDS), **without_rate_limits(stack.files.settings()))
    url = stack.outputs["prometheusUrl"]
    time.sleep(20 * PACE_SECONDS)
    rest, scrapes = series(url), scrape_seconds(url)
    with Callers(stack.outputs["gatewayUrl"], stack.token(3600), callers=3, pause_seconds=0.1) as callers:
        time.sleep(LOAD_SECONDS)
        load, busy = series(url), scrape_seconds(url)
        queries = list(overview_queries(url))
    console = Console(width=130)
    console.print(cardinality(rest, load, scrapes, busy), slowest(queries), f"{sum(callers.answers.values())} requests")
    console.print(f"Prometheus: {memory_mib(stack, url)}", parts_note(stack.files.parts))


def ask(url: str, path: str = "query", **parameters: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/api/v1/{path}", params=parameters, timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def by_job(url: str, expr: str) -> dict[str, float]:
    return {row["metric"].get("job", "recorded"): float(row["value"][1]) for row in ask(url, query=expr)}


def series(url: str) -> dict[str, float]:
    """Series of each job now; what rules record has no job, or that of its source."""
    return by_job(url, 'count by (job) ({__name__=~".+"})')


def scrape_seconds(url: str) -> dict[str, float]:
    return by_job(url, "max by (job) (quantile_over_time(0.95, scrape_duration_seconds[1m]))")


def memory_mib(stack: LiveStack, url: str) -> str:
    [resident] = ask(url, query='process_resident_memory_bytes{job="prometheus"} / 1024 / 1024')
    [samples] = ask(url, query="sum(rate(prometheus_tsdb_head_samples_appended_total[1m]))")
    used = stack.container("prometheus-0").stats(stream=False)["memory_stats"]["usage"] / 2**20
    rate = float(samples["value"][1])
    return f"{float(resident['value'][1]):.0f} MiB resident, {used:.0f} MiB of its container, {rate:.0f} samples/s"


def overview_queries(url: str) -> Iterator[tuple[str, float, int]]:
    """Each query of the overview over that time: panel, the median of its times in ms, samples in the answer."""
    end = time.time()
    for panel in json.loads(dashboard_files(Promises(scrape_seconds=PACE_SECONDS))["rag-overview.json"])["panels"]:
        for target in panel.get("targets", []):
            expr = target["expr"].replace("$__rate_interval", f"{4 * PACE_SECONDS}s")
            span = {"start": end - LOAD_SECONDS, "end": end, "step": PACE_SECONDS}
            times = []
            for _ in range(REPEATED):
                began = time.perf_counter()
                rows = ask(url, "query_range", query=expr, **span)
                times.append((time.perf_counter() - began) * 1000)
            yield (
                f"{panel['title']}: {target['refId']}",
                sorted(times)[REPEATED // 2],
                sum(len(r["values"]) for r in rows),
            )


def cardinality(
    rest: dict[str, float], load: dict[str, float], scrapes: dict[str, float], busy: dict[str, float]
) -> Table:
    table = Table("job", "series at rest", "under load", "scrape p95 at rest", "under load", title="series and scrapes")
    for job in sorted(load):
        times = [f"{found.get(job, 0) * 1000:.0f} ms" if job in found else "-" for found in (scrapes, busy)]
        table.add_row(job, f"{rest.get(job, 0):.0f}", f"{load[job]:.0f}", *times)
    table.add_row("all", f"{sum(rest.values()):.0f}", f"{sum(load.values()):.0f}", "", "")
    return table


def slowest(queries: list[tuple[str, float, int]]) -> Table:
    table = Table("query of the overview", "median", "samples", title=f"{len(queries)} queries, {SAMPLES} steps each")
    for name, milliseconds, samples in sorted(queries, key=lambda each: -each[1]):
        table.add_row(name, f"{milliseconds:.0f} ms", str(samples))
    return table


if __name__ == "__main__":
    main()
