"""Qdrant Cluster: consensus, replicas, work and room of each node."""

from typing import Any

from grafana_foundation_sdk.models import dashboard

from components.monitoring.dashboards.board import Section, board, choice
from components.monitoring.dashboards.panels import graph, lamp, number, rows, thresholds
from components.monitoring.promises import Promises

NODE = 'node=~"$node"'
RATE = "[$__rate_interval]"


def qdrant_board(promises: Promises) -> dashboard.Dashboard:
    """Return the dashboard of the cluster."""
    return board(
        "rag-qdrant",
        "Qdrant Cluster",
        "Is every shard where it should be, do the nodes agree, and have they room?",
        Section("", 4, (4, 4, 4, 6, 6), _summary(promises)),
        Section("Consensus", 7, (12, 6, 6), _consensus(promises)),
        Section("Replicas and data", 7, (6, 6, 6, 6), _replicas(promises)),
        Section("Requests", 7, (12, 12, 12, 12), _requests()),
        Section("Room", 7, (6, 6, 6, 6), _room(promises)),
        variables=[choice("node", 'up{job="qdrant-cluster"}', "node")],
    )


def _summary(promises: Promises) -> list[Any]:
    nodes, copies = promises.qdrant_nodes, promises.replication_factor
    quorum = nodes // 2 + 1
    return [
        number(
            "Nodes up",
            f"Of {nodes}; {quorum} are a majority.",
            "none",
            {"": "qdrant_cluster_nodes_up"},
            thresholds((None, "red"), (quorum, "yellow"), (nodes, "green")),
            alert="QdrantNodeDown",
        ),
        number(
            "Active copies of the worst shard",
            f"{copies} are promised.",
            "none",
            {"": "qdrant:active_replicas:min"},
            thresholds((None, "red"), (copies, "green")),
            alert="QdrantUnderReplicated",
            nothing="no collection",
        ),
        number(
            "Shards with a replica that is not Active",
            "As the node that sees most of them reports.",
            "none",
            {"": "qdrant:dead_replicas:max"},
            thresholds((None, "green"), (1, "red")),
            alert="QdrantReplicaDead",
        ),
        number(
            "Points",
            "On each node, copies included, by collection.",
            "short",
            {"{{id}}": f"sum by (id) (collection_points{{{NODE}}})"},
            thresholds((None, "text")),
            nothing="no collection",
        ),
        number(
            "Versions",
            "Nodes on each version.",
            "none",
            {"{{version}}": f"count by (version) (app_info{{{NODE}}})"},
            thresholds((None, "text")),
            alert="QdrantVersionsDiffer",
        ),
    ]


def _consensus(promises: Promises) -> list[Any]:
    metrics = {
        "Up": "up",
        "Working": 'cluster_working_state{state="working"',
        "Voter": "cluster_voter",
        "Peers": "cluster_peers_total",
        "Term": "cluster_term",
        "Commit": "cluster_commit",
        "Pending": "cluster_pending_operations_total",
    }
    columns = {
        name: f'max by (node) ({metric}{"," if "{" in metric else "{"}job="qdrant-cluster",{NODE}}})'
        for name, metric in metrics.items()
    }
    table = rows(
        "Nodes", "Settled: all rows agree, all vote, nothing is pending.", "none", columns, alert="QdrantPeersMissing"
    )
    table.override_by_name("Up", lamp(up=(1, "green"), down=(0, "red")))
    table.override_by_name("Working", lamp(working=(1, "green"), stopped=(0, "red")))
    table.override_by_name("Voter", lamp(voter=(1, "green"), learner=(0, "yellow")))
    return [
        table,
        graph(
            "Commits behind the fastest node",
            "A node that stays behind is slow, cut off, or stopped.",
            "none",
            {"{{node}}": f"scalar(max(cluster_commit)) - max by (node) (cluster_commit{{{NODE}}})"},
            limit=10,
            alert="QdrantConsensusLag",
        ),
        graph(
            "New terms in 10 minutes",
            "Each election is a new term; there is no metric that names the leader.",
            "none",
            {"{{node}}": f"max by (node) (increase(cluster_term{{{NODE}}}[10m]))"},
            limit=5,
            alert="QdrantElectionsRepeat",
        ),
    ]


def _replicas(promises: Promises) -> list[Any]:
    return [
        graph(
            "Active copies, degraded shards",
            "The shard with the fewest Active copies, and how many shards have a copy that is not Active.",
            "none",
            {"fewest Active": "qdrant:active_replicas:min", "degraded shards": "qdrant:dead_replicas:max"},
            alert="QdrantReplicaDead",
            nothing="no collection",
        ),
        graph(
            "Shard transfers",
            "Into and out of each node.",
            "none",
            {
                "into {{node}}": f"sum by (node) (collection_shard_transfer_incoming{{{NODE}}})",
                "out of {{node}}": f"sum by (node) (collection_shard_transfer_outgoing{{{NODE}}})",
            },
            alert="QdrantReplicaDead",
            nothing="no collection",
        ),
        graph(
            "Optimizers and updates that wait",
            "Indexing takes CPU from searches; a queue that stays is a node that does not keep up.",
            "none",
            {
                "{{node}} optimizes": f"sum by (node) (collection_running_optimizations{{{NODE}}})",
                "{{node}} waits": f"sum by (node) (collection_update_queue_length{{{NODE}}})",
            },
            alert="QdrantUpdatesPileUp",
            nothing="no collection",
        ),
        graph(
            "Points of each node",
            "Of all collections, copies included.",
            "short",
            {"{{node}}": f"sum by (node) (collection_points{{{NODE}}})"},
            nothing="no collection",
        ),
    ]


def _requests() -> list[Any]:
    found: list[Any] = []
    for kind, note in (("rest", "REST"), ("grpc", "gRPC; this platform's own service speaks REST")):
        where = f"{{{NODE}}}"
        buckets = f"sum by (endpoint, le) (rate({kind}_responses_duration_seconds_bucket{where}{RATE}))"
        found += [
            graph(
                f"{note.partition(';')[0]}: answers by endpoint and status",
                f"{note}; a series begins with its first answer.",
                "reqps",
                {"{{endpoint}} {{status}}": f"sum by (endpoint, status) (rate({kind}_responses_total{where}{RATE}))"},
                alert="QdrantErrorRateHigh",
                nothing="no traffic",
            ),
            graph(
                f"{note.partition(';')[0]}: P95 by endpoint",
                "Answers that succeeded only.",
                "s",
                {"{{endpoint}}": f"histogram_quantile(0.95, {buckets})"},
                alert="RagLatencyHigh",
                nothing="no traffic",
            ),
        ]
    return found


def _room(promises: Promises) -> list[Any]:
    return [
        graph(
            "Free room on disks",
            "Share of each disk that keeps data, of Qdrant and of its neighbours; the line is a quarter.",
            "percentunit",
            {"{{instance}} {{mountpoint}}": "disk:free:ratio"},
            limit=0.25,
            alert="DiskFillsUp",
        ),
        graph(
            "Memory",
            "Resident; the line is 80 % of what a node may use.",
            "bytes",
            {"{{node}}": f"max by (node) (memory_resident_bytes{{{NODE}}})"},
            limit=0.8 * promises.qdrant_memory_bytes,
            alert="QdrantMemoryHigh",
        ),
        graph(
            "Open files and memory maps",
            "Share of what the node may have.",
            "percentunit",
            {
                "{{node}} files": f'process_open_fds{{job="qdrant-cluster",{NODE}}} / process_max_fds',
                "{{node}} maps": f"process_open_mmaps{{{NODE}}} / system_max_mmaps",
            },
            limit=0.8,
            alert="QdrantFilesRunOut",
        ),
        graph(
            "Page faults from disk",
            "Vectors that were not in memory when they were asked for.",
            "ops",
            {"{{node}}": f'sum by (node) (rate(process_major_page_faults_total{{job="qdrant-cluster",{NODE}}}{RATE}))'},
        ),
    ]
