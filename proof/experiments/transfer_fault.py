"""A node that dies while a shard is on its way to it."""

from collections.abc import Sequence

from proof.experiments.faults import Heal, killed, nodes
from proof.targets.docker_stack import OwnStack
from proof.timeouts import until
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import replicas


def killed_in_a_transfer(stack: OwnStack) -> Heal:
    """Have one more copy of a shard made, and kill the node that gets it; healed when that copy is gone again.

    RuntimeError when the transfer was over before it could be seen: then nothing was tried.
    """
    collection, cluster = stack.outputs["physicalCollection"], nodes(stack)
    source, target, shard = _a_copy_to_make(cluster, collection)
    peers = [node.cluster()["peer_id"] for node in cluster]
    cluster[source].replicate_shard(collection, shard, peers[source], peers[target])
    seen = bool(cluster[source].collection_cluster(collection)["shard_transfers"])
    start = killed(f"qdrant-{target}")(stack)

    def heal() -> None:
        start()
        until("the surplus copy to go", lambda: _gone(cluster[source], collection, shard, peers[target]))
        if not seen:
            raise RuntimeError("expected to catch a transfer in the act, found it over: nothing was tried; run again")

    return heal


def _a_copy_to_make(cluster: Sequence[QdrantApi], collection: str) -> tuple[int, int, int]:
    """A node that has a shard, a node that has not, and the shard."""
    held = [{shard["shard_id"] for shard in node.collection_cluster(collection)["local_shards"]} for node in cluster]
    return next(
        (source, target, shard)
        for target, lacks in enumerate(held)
        for source, has in enumerate(held)
        for shard in sorted(has - lacks)
    )


def _gone(node: QdrantApi, collection: str, shard: int, peer: int) -> bool | None:
    """The copy was made only to be interrupted: whatever became of it, it is not wanted."""
    view = node.collection_cluster(collection)
    if view["shard_transfers"]:
        return None
    if peer not in replicas(view).get(shard, {}):
        return True
    node.drop_replica(collection, shard, peer)
    return None
