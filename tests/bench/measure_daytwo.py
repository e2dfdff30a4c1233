"""How fast points move in: `python -m tests.bench.measure_daytwo [POINTS]`, on the live tests' stack.

Three ways of getting the same points into the same cluster, in one run, as a ratio to the first: a plain bulk upload
by qdrant-client, a migration from a single node, and a restoration of a backup. Prints; judges nothing.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient, models
from rich.console import Console
from rich.table import Table

from ops.daytwo.backup import back_up, plan_backup
from ops.daytwo.restore import plan_restore, restore
from ops.daytwo.running import Running
from ops.status import parts_note
from qdrant_admin.points.client import NodePoints, Point
from qdrant_admin.points.equality import as_stored
from qdrant_admin.points.synchronisation import Copied, Route, synchronise
from tests.live.conftest import LiveStack, live_stack
from tests.live.test_5_daytwo import single_node

SIZE, SHARDS, FACTOR = 384, 6, 2
BATCH = 256  # of the plain upload; its own default of 64 is slower
CALM_LOOKS = 6  # half a second apart: an optimizer begins a moment after the write
BODY = {"vectors": {"size": SIZE, "distance": "Cosine"}, "shard_number": SHARDS, "replication_factor": FACTOR}


def points(count: int) -> list[Point]:
    """The same each time."""
    numbers = random.Random(1)
    made = ([numbers.uniform(-1, 1) for _ in range(SIZE)] for _ in range(count))
    return [{"id": i, "vector": as_stored(vector), "payload": {"source": f"s{i}"}} for i, vector in enumerate(made)]


def seconds(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def upload(running: Running, name: str, made: list[Point], *, acknowledged: bool) -> None:
    """What a user does without this project: a careful one has every batch acknowledged, the client's default none."""
    running.nodes[0].create_collection(name, BODY, 60)
    client = QdrantClient(url=running.node_urls[0], api_key=running.api_key, timeout=120, check_compatibility=False)
    structs = (models.PointStruct(id=p["id"], vector=p["vector"], payload=p["payload"]) for p in made)
    client.upload_points(name, structs, batch_size=BATCH, parallel=1, wait=acknowledged)
    while running.nodes[0].points(name).count() < len(made):
        time.sleep(0.05)


def await_rest(nodes: Sequence[NodePoints], name: str) -> None:
    """Wait until no node builds an index of it: a collection that is moved has been there for long."""
    baseline_start = 0
    while baseline_start < CALM_LOOKS:
        states = {found["status"] for node in nodes if (found := node.collection(name))}
        baseline_start = baseline_start + 1 if states == {"green"} else 0
        time.sleep(0.5)


def measured(stack: LiveStack, running: Running, made: list[Point]) -> dict[str, float]:
    node, taken = running.nodes[0], dict[str, float]()
    taken["plain"] = seconds(lambda: upload(running, "measured_plain", made, acknowledged=True))
    await_rest(running.nodes, "measured_plain")
    taken["plain, unacknowledged"] = seconds(lambda: upload(running, "measured_fast", made, acknowledged=False))
    await_rest(running.nodes, "measured_fast")
    with single_node(stack) as source:
        source.create_collection("old", {"vectors": BODY["vectors"]}, 60)
        for start in range(0, len(made), 500):
            source.points("old").upsert(made[start : start + 500])
        await_rest([source], "old")
        node.create_collection("measured_migrated", BODY, 60)
        target = running.points("measured_migrated")
        route = Route(source=source.points("old"), target=target, fill=Copied(target))
        taken["migration"] = seconds(lambda: synchronise(route))
        taken["comparison"] = seconds(lambda: synchronise(route))
    await_rest(running.nodes, "measured_migrated")
    with tempfile.TemporaryDirectory() as folder:
        backup = Path(folder) / "backup"
        taken["backup"] = seconds(
            lambda: back_up(running, plan_backup(running, ["measured_plain"]), backup, stack.console)
        )
        [planned] = plan_restore(running, backup, "measured_plain", into="measured_restored")
        taken["restoration"] = seconds(lambda: restore(running, planned, stack.console))
    return taken


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    stack, made = live_stack(), points(count)
    stack.down(purge=True)
    stack.up()
    running = Running.of(stack.outputs)
    taken = measured(stack, running, made)
    table = Table("way", "seconds", "points/s", "ratio to plain", title=f"{count} points of {SIZE} dimensions")
    for way, spent in taken.items():
        table.add_row(way, f"{spent:.1f}", f"{count / spent:,.0f}", f"{taken['plain'] / spent:.2f}")
    Console(width=150).print(table, parts_note(stack.files.parts))
    stack.down(purge=True)


if __name__ == "__main__":
    main()
