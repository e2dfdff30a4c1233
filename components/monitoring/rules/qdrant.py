"""Are all nodes and replicas of the Qdrant cluster at work? Every node is scraped by itself and has its own view."""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules, metrics_missing, target_down


def qdrant_rules(promises: Promises) -> Rules:
    """Return what must hold of the nodes, of their consensus and of the replicas."""
    return (*_nodes(promises), *_consensus(promises), *_replicas(promises))


def _nodes(promises: Promises) -> Rules:
    nodes = promises.qdrant_nodes
    quorum = nodes // 2 + 1
    return (
        # The sum of no series is no series, not 0: without `or vector(0)` the loss of every node would be silent.
        Recording("qdrant_cluster_nodes_up", 'sum(up{job="qdrant-cluster"}) or vector(0)'),
        # Needed beside QdrantReplicaDead: the replicas of a lost node stay Active until the next write.
        target_down("QdrantNodeDown", job="qdrant-cluster", summary="A Qdrant node does not answer", label="node"),
        Alert(
            name="QdrantQuorumLost",
            expr=f"qdrant_cluster_nodes_up < {quorum}",
            wait="30s",
            severity="page",
            summary="Qdrant has lost its quorum: it can neither elect a leader nor change a collection",
            description=f"{{{{ $value }}}} of {nodes} nodes answer, {quorum} are needed.",
        ),
        metrics_missing("Qdrant", job="qdrant-cluster", metric="cluster_peers_total"),
    )


def _consensus(promises: Promises) -> Rules:
    nodes = promises.qdrant_nodes
    return (
        Alert(
            name="QdrantPeersMissing",
            expr=f"min(cluster_peers_total) < {nodes} or max(cluster_peers_total) > {nodes}",
            wait="5m",
            summary="A Qdrant node knows another number of peers than the cluster was built with",
            description=f"A node counts {{{{ $value }}}} peers instead of {nodes}.",
        ),
        Alert(
            name="QdrantNotVoter",
            expr="cluster_voter == 0",
            wait="5m",
            summary="A Qdrant node has joined and never got a vote",
            description="{{ $labels.node }} is a learner (voter is {{ $value }}): it does not count for a majority.",
        ),
        Alert(
            name="QdrantConsensusStopped",
            expr='cluster_working_state{state="stopped"} == 1',
            severity="page",
            summary="The consensus of a Qdrant node has stopped",
            description="{{ $labels.node }} serves data but hears no more of the cluster (stopped is {{ $value }}).",
        ),
        Alert(
            name="QdrantConsensusLag",
            expr="max(cluster_commit) - min(cluster_commit) > 10",
            wait="5m",
            summary="A Qdrant node lags behind in consensus",
            description="The slowest node is {{ $value }} committed entries behind the fastest.",
        ),
        Alert(
            name="QdrantOperationsPending",
            expr="cluster_pending_operations_total > 0",
            wait="5m",
            summary="A Qdrant node cannot get its operations through consensus",
            description="{{ $labels.node }} has had operations waiting for five minutes, {{ $value }} now.",
        ),
        # There is no leader metric; every election is a new term. A node that was frozen holds several at once.
        Alert(
            name="QdrantElectionsRepeat",
            expr="max(increase(cluster_term[10m])) > 5",
            wait="5m",
            summary="Qdrant elects a leader again and again",
            description="{{ $value | humanize }} terms in ten minutes, five are a bad day.",
        ),
    )


def _replicas(promises: Promises) -> Rules:
    copies = promises.replication_factor
    return (
        # Each node reports the shards of the whole cluster: a sum would count one dead replica once per node.
        Recording("qdrant:dead_replicas:max", "max(collection_dead_replicas)"),
        # A node without collections reports a minimum of 0.
        Recording(
            "qdrant:active_replicas:min", "min(collection_active_replicas_min and on (instance) collections_total > 0)"
        ),
        Alert(
            name="QdrantReplicaDead",
            expr="qdrant:dead_replicas:max > 0",
            wait="5m",
            summary="A Qdrant shard has a replica that is not Active",
            description="{{ $value }} shards have a replica that is dead or still recovering.",
        ),
        Alert(
            name="QdrantUnderReplicated",
            expr=f"qdrant:active_replicas:min < {copies}",
            wait="10m",
            summary="A Qdrant shard has fewer Active copies than promised",
            description=f"A shard has {{{{ $value }}}} Active copies instead of {copies}.",
        ),
    )
