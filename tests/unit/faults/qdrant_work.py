"""Answers, indexing, room, versions, snapshots."""

from tests.unit.faults.fault import Fault, Series, qdrant
from tests.unit.faults.qdrant import NODE_1

GIB = 1024**3


def answers(ok: int, failed: int) -> Series:
    labels = {"method": "POST", "endpoint": "/collections/{collection_name}/points/query"}
    good = qdrant("rest_responses_total", f"0+{ok}x60", **labels, status="200")
    return good | qdrant("rest_responses_total", f"0+{failed}x60", **labels, status="500")


QDRANT_WORK = (
    Fault(
        alert="QdrantErrorRateHigh",
        series=answers(90, 10),
        says="10% of the requests that reach Qdrant fail; retries hide it.",
        nearly=answers(96, 4),
    ),
    Fault(  # a queue that empties now and then is no queue
        alert="QdrantUpdatesPileUp",
        series=qdrant("collection_update_queue_length", "0x100", "500x100", id="docs"),
        says="qdrant-1 has 500 updates of docs waiting.",
        labels=NODE_1 | {"id": "docs"},
        nearly=qdrant("collection_update_queue_length", "0x100", "0 500x20 0 500x20 0 500x20 0 500x20", id="docs"),
        at="20m",
    ),
    Fault(
        alert="QdrantOptimizerStuck",
        series=qdrant("collection_running_optimizations", "0x150", "1x150", id="docs"),
        says="qdrant-1 has optimized docs for two hours (1 run).",
        labels=NODE_1 | {"id": "docs"},
        nearly=qdrant("collection_running_optimizations", "0x150", "1x50 0 1x50 0 1x50", id="docs"),
        at="140m",
        step="1m",
    ),
    Fault(
        alert="QdrantMemoryHigh",
        series=qdrant("memory_resident_bytes", "1x60", f"{0.9 * GIB}x60"),
        says="qdrant-1 uses 90% of its 1024 MiB.",
        labels=NODE_1,
        nearly=qdrant("memory_resident_bytes", f"{0.79 * GIB}x60", f"{0.9 * GIB}x18 1x60"),
    ),
    Fault(
        alert="QdrantQuotaExceeded",
        series=qdrant("quota_exceeded", "0x60", "1x60", resource="disk"),
        says="qdrant-1 is out of its disk quota (1).",
        labels={"node": "qdrant-1", "resource": "disk"},
        nearly=qdrant("quota_exceeded", "0x60", "0x60", resource="disk"),
    ),
    Fault(
        alert="QdrantFilesRunOut",
        series=qdrant("process_open_fds", "10x60", "900x60") | qdrant("process_max_fds", "1000x60", "1000x60"),
        says="qdrant-1 uses 90% of the files it may open.",
        labels=NODE_1,
        nearly=qdrant("process_open_fds", "800x60") | qdrant("process_max_fds", "1000x60"),
    ),
    Fault(
        alert="QdrantMemoryMapsRunOut",
        series=qdrant("process_open_mmaps", "9x60", "60000x60") | qdrant("system_max_mmaps", "65530x60", "65530x60"),
        says="qdrant-1 uses 91.56% of vm.max_map_count.",
        labels=NODE_1,
        nearly=qdrant("process_open_mmaps", "50000x60") | qdrant("system_max_mmaps", "65530x60"),
    ),
    Fault(
        alert="QdrantRecoveryMode",
        series=qdrant("app_status_recovery_mode", "0x60", "1x60"),
        says="qdrant-1 started in recovery mode (1).",
        labels=NODE_1,
        nearly=qdrant("app_status_recovery_mode", "0x60", "0x60"),
    ),
    Fault(  # a rolling update is over within the hour
        alert="QdrantVersionsDiffer",
        series=qdrant("app_info", "1x90", version="1.19.1") | qdrant("app_info", "_", "1x90", version="1.19.2"),
        says="2 versions have run side by side for an hour.",
        nearly=qdrant("app_info", "1x50", version="1.19.1") | qdrant("app_info", "_", "1x90", version="1.19.2"),
        at="80m",
        step="1m",
    ),
    Fault(  # the counter begins with the first snapshot
        alert="QdrantSnapshotOverdue",
        series=qdrant("collections_total", "2x200"),
        says="2 collections, and no snapshot of any of them in 26 hours.",
        nearly=qdrant("collections_total", "2x200") | qdrant("snapshot_created_total", "_x60 1x140", id="docs"),
        at="30h",
        step="15m",
    ),
    Fault(  # they have stopped; a stack without collections has nothing to lose
        alert="QdrantSnapshotOverdue",
        series=qdrant("collections_total", "2x200") | qdrant("snapshot_created_total", "0 1x200", id="docs"),
        says="2 collections, and no snapshot of any of them in 26 hours.",
        nearly=qdrant("collections_total", "0x200"),
        at="30h",
        step="15m",
    ),
)
