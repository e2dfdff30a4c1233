"""Nodes, consensus, replicas."""

from tests.unit.faults.fault import Fault, of_job, qdrant

NODE_1 = {"job": "qdrant-cluster", "instance": "qdrant-1:6333", "node": "qdrant-1"}

QDRANT = (
    Fault(
        alert="QdrantNodeDown",
        series=qdrant("up", "1x60", "0x60", "1x60"),
        says="qdrant-1 has failed every scrape for a minute (up is 0).",
        labels=NODE_1,
        nearly=qdrant("up", "1x60", "1x20 0x2 1x40", "1x60"),
    ),
    Fault(
        alert="QdrantQuorumLost",
        series=qdrant("up", "0x60", "0x60", "1x60"),
        says="1 of 3 nodes answer, 2 are needed.",
        nearly=qdrant("up", "0x60", "1x60", "1x60"),
    ),
    Fault(  # the loss of everything is not silent
        alert="QdrantQuorumLost",
        series=of_job("prometheus", "localhost:9090", "up", "1x60"),
        says="0 of 3 nodes answer, 2 are needed.",
        nearly=qdrant("up", "1x60", "1x60", "1x60"),
    ),
    Fault(  # a node that is down is not one that is silent
        alert="QdrantMetricsMissing",
        series=qdrant("up", "1x60", "1x60") | qdrant("cluster_peers_total", "3x60"),
        says="qdrant-1:6333 sends no cluster_peers_total: its alerts are silent (up is 1).",
        labels=NODE_1,
        nearly=qdrant("up", "1x60", "0x60") | qdrant("cluster_peers_total", "3x60"),
    ),
    Fault(
        alert="QdrantPeersMissing",
        series=qdrant("cluster_peers_total", "3x60", "3x60", "1x60"),
        says="A node counts 1 peers instead of 3.",
        nearly=qdrant("cluster_peers_total", "3x60", "3x60", "1x16 3x60"),
    ),
    Fault(  # a peer that was replaced and never removed
        alert="QdrantPeersMissing",
        series=qdrant("cluster_peers_total", "4x60", "4x60", "4x60"),
        says="A node counts 4 peers instead of 3.",
        nearly=qdrant("cluster_peers_total", "3x60", "3x60", "3x60"),
    ),
    Fault(  # it joins as a learner and is made a voter within seconds
        alert="QdrantNotVoter",
        series=qdrant("cluster_voter", "1x60", "0x60"),
        says="qdrant-1 is a learner (voter is 0): it does not count for a majority.",
        labels=NODE_1,
        nearly=qdrant("cluster_voter", "1x60", "0x10 1x60"),
    ),
    Fault(
        alert="QdrantConsensusStopped",
        series=qdrant("cluster_working_state", "0x60", "1x60", state="stopped"),
        says="qdrant-1 serves data but hears no more of the cluster (stopped is 1).",
        labels=NODE_1 | {"state": "stopped"},
        nearly=qdrant("cluster_working_state", "1x60", "1x60", state="working"),
    ),
    Fault(
        alert="QdrantConsensusLag",
        series=qdrant("cluster_commit", "100x60", "100x60", "89x60", peer_id="7"),
        says="The slowest node is 11 committed entries behind the fastest.",
        nearly=qdrant("cluster_commit", "100x60", "100x60", "90x60", peer_id="7"),
    ),
    Fault(
        alert="QdrantOperationsPending",
        series=qdrant("cluster_pending_operations_total", "0x60", "2x60"),
        says="qdrant-1 has had operations waiting for five minutes, 2 now.",
        labels=NODE_1,
        nearly=qdrant("cluster_pending_operations_total", "0x60", "2x15 0 2x15 0 2x15 0 2x20"),
    ),
    Fault(  # one election is a new term; a node that was frozen fires a few
        alert="QdrantElectionsRepeat",
        series=qdrant("cluster_term", "2+1x60"),
        says="40 terms in ten minutes, five are a bad day.",
        nearly=qdrant("cluster_term", "2x20 6x40"),
    ),
    Fault(  # three nodes report the same two shards
        alert="QdrantReplicaDead",
        series=qdrant("collection_dead_replicas", "2x60", "2x60", "2x60"),
        says="2 shards have a replica that is dead or still recovering.",
        nearly=qdrant("collection_dead_replicas", "2x18 0x40", "2x18 0x40", "2x18 0x40"),
    ),
    Fault(
        alert="QdrantUnderReplicated",
        series=qdrant("collection_active_replicas_min", "1x60") | qdrant("collections_total", "1x60"),
        says="A shard has 1 Active copies instead of 2.",
        nearly=qdrant("collection_active_replicas_min", "0x60") | qdrant("collections_total", "0x60"),
    ),
)
