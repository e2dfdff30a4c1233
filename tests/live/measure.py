"""What a dead and a frozen node cost readers and writers: `python -m tests.live.measure`, on the live tests' stack.

Prints figures and their ratio in one run; judges nothing (the live tests judge what must never happen).
"""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.status import parts_note
from providers.cluster_view import look, unsettled
from providers.qdrant_api import QdrantApi
from tests.live.conftest import live_stack
from tests.live.traffic import Traffic, missing

AWAY_SECONDS = 14
CALM_SECONDS = 8


def main() -> None:
    """Kill each node in turn, then freeze one, under 8 readers and 2 writers."""
    stack = live_stack()
    stack.down(purge=True)
    _, seconds = stack.up()
    print(f"up in {seconds:.0f} s; a second up, with nothing to change, in {stack.up()[1]:.0f} s")
    columns = (
        "fault",
        "reads",
        "failed",
        "p99 before",
        "p99 during",
        "ratio",
        "worst read",
        "writes",
        "failed",
        "lost",
    )
    table = Table(*columns, title=f"node away for {AWAY_SECONDS} s; 8 readers, 2 writers; p99 and worst in ms")
    for node in range(3):
        container = stack.container(f"qdrant-{node}")
        table.add_row(f"SIGKILL qdrant-{node}", *_measured(stack.outputs, container.kill, container.start))
    container = stack.container("qdrant-2")
    table.add_row("freeze qdrant-2", *_measured(stack.outputs, container.pause, container.unpause))
    Console(width=150).print(table, parts_note(stack.files.parts))
    stack.down(purge=True)


def _measured(found: dict[str, Any], fault: Callable[[], None], heal: Callable[[], None]) -> list[str]:
    key, collection, urls = found["qdrantApiKey"], found["collection"], found["qdrantNodeUrls"]
    with Traffic(found["qdrantUrl"], key, collection, first_id=time.time_ns() // 1000) as traffic:
        calm = traffic.settle_in(200)
        time.sleep(CALM_SECONDS)
        faulty = time.monotonic()
        fault()
        time.sleep(AWAY_SECONDS)
        healed = time.monotonic()
        heal()
        while unsettled(look([QdrantApi(url, key) for url in urls])):
            time.sleep(0.5)
    record = traffic.record
    before, during = record.p99(calm, faulty), record.p99(faulty, healed)
    lost = missing(urls, key, collection, record.acknowledged)
    return [
        str(len(record.reads)),
        str(len(record.failed_reads())),
        f"{before * 1000:.0f}",
        f"{during * 1000:.0f}",
        f"{during / before:.2f}",
        f"{max(read.seconds for read in record.reads if read.began >= faulty) * 1000:.0f}",
        str(len(record.writes)),
        str(sum(not write.answered for write in record.writes)),
        f"{sum(map(len, lost.values()))} of {len(record.acknowledged)}",
    ]


if __name__ == "__main__":
    main()
