"""Does a Qdrant node do its work, and has it room to? Answers, indexing, memory, files, versions, snapshots."""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules, events


def qdrant_work_rules(promises: Promises) -> Rules:
    """Return what must hold of the work of each node and of the room it has."""
    return (*_answers(), *_room(promises), *_care())


def _answers() -> Rules:
    failed = 'sum(rate(rest_responses_total{status=~"5.."}[5m]))'
    return (
        # No series before the first request, none of 5xx before the first failure, and no ratio without traffic.
        Recording("qdrant:errors:ratio_rate5m", f"({failed} or vector(0)) / (sum(rate(rest_responses_total[5m])) > 0)"),
        Alert(
            name="QdrantErrorRateHigh",
            expr="qdrant:errors:ratio_rate5m > 0.05",
            wait="2m",
            summary="Qdrant answers too many requests with 5xx",
            description="{{ $value | humanizePercentage }} of the requests that reach Qdrant fail; retries hide it.",
        ),
        # The queue of a node that keeps up is empty most of the time.
        Alert(
            name="QdrantUpdatesPileUp",
            expr="min_over_time(collection_update_queue_length[10m]) > 100",
            wait="5m",
            summary="A Qdrant node takes more updates than it applies",
            description="{{ $labels.node }} has {{ $value }} updates of {{ $labels.id }} waiting.",
        ),
        Alert(
            name="QdrantOptimizerStuck",
            expr="min_over_time(collection_running_optimizations[1h]) > 0",
            wait="1h",
            summary="An optimization of Qdrant does not come to its end",
            description="{{ $labels.node }} has optimized {{ $labels.id }} for two hours ({{ $value }} run).",
        ),
    )


def _room(promises: Promises) -> Rules:
    return (
        Alert(
            name="QdrantMemoryHigh",
            expr=f"memory_resident_bytes / {promises.qdrant_memory_bytes} > 0.8",
            wait="5m",
            summary="A Qdrant node comes near its memory limit, where the kernel ends it",
            description=f"{{{{ $labels.node }}}} uses {{{{ $value | humanizePercentage }}}} of its"
            f" {promises.qdrant_memory_mib} MiB.",
        ),
        Alert(
            name="QdrantQuotaExceeded",
            expr="max by (node, resource) (quota_exceeded) == 1",
            summary="Qdrant refuses updates: a quota is used up",
            description="{{ $labels.node }} is out of its {{ $labels.resource }} quota ({{ $value }}).",
        ),
        Alert(
            name="QdrantFilesRunOut",
            expr='process_open_fds{job="qdrant-cluster"} / process_max_fds > 0.8',
            wait="5m",
            summary="A Qdrant node has few file descriptors left",
            description="{{ $labels.node }} uses {{ $value | humanizePercentage }} of the files it may open.",
        ),
        Alert(
            name="QdrantMemoryMapsRunOut",
            expr="process_open_mmaps / system_max_mmaps > 0.8",
            wait="5m",
            summary="A Qdrant node has few memory maps left",
            description="{{ $labels.node }} uses {{ $value | humanizePercentage }} of vm.max_map_count.",
        ),
    )


def _care() -> Rules:
    return (
        Alert(
            name="QdrantRecoveryMode",
            expr="app_status_recovery_mode == 1",
            summary="A Qdrant node runs in recovery mode and serves nothing",
            description="{{ $labels.node }} started in recovery mode ({{ $value }}).",
        ),
        # During a rolling update two versions are normal for minutes.
        Alert(
            name="QdrantVersionsDiffer",
            expr="count(count by (version) (app_info)) > 1",
            wait="1h",
            summary="The nodes of Qdrant run different versions",
            description="{{ $value }} versions have run side by side for an hour.",
        ),
        # Also for a stack that has never made one: its collections are 26 hours old, and no counter rose meanwhile.
        Alert(
            name="QdrantSnapshotOverdue",
            expr=f"max(collections_total offset 26h) > 0 unless ({events('snapshot_created_total', '26h')})",
            wait="15m",
            summary="Qdrant has no snapshot of the last 26 hours",
            description="{{ $value }} collections, and no snapshot of any of them in 26 hours.",
        ),
    )
