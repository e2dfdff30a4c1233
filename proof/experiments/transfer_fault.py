"""A node that dies while a shard is on its way to it."""

from collections.abc import Sequence

from access.polling import NotYet, poll, require
from proof.experiments.experiment import Undo
from proof.experiments.faults import killed, nodes
from proof.targets.docker_target import DockerTarget
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_view import replicas


def killed_in_a_transfer(target: DockerTarget) -> Undo:
    """Start one more copy of a shard, and kill the node that receives it; undone when that copy is dropped again.

    RuntimeError when the transfer ended before it was seen: then nothing was tried.
    """
    collection, cluster = target.stack.outputs["physicalCollection"], nodes(target)
    source, receiver, shard = _a_copy_to_make(cluster, collection)
    peers = [node.cluster()["peer_id"] for node in cluster]
    cluster[source].replicate_shard(collection, shard, peers[source], peers[receiver])
    seen = bool(cluster[source].collection_cluster(collection)["shard_transfers"])
    start = killed(f"qdrant-{receiver}")(target)

    def undo() -> None:
        start()
        poll(
            lambda: _drop(cluster[source], collection, shard, peers[receiver]),
            180,
            expected="the surplus copy to go",
            not_yet=(NodeUnreachable, QdrantError),
        )
        if not seen:
            raise RuntimeError("expected to catch a transfer in the act, found it over: nothing was tried; run again")

    return undo


def _a_copy_to_make(cluster: Sequence[QdrantApi], collection: str) -> tuple[int, int, int]:
    """A node that has a shard, a node that has not, and the shard."""
    held = [{shard["shard_id"] for shard in node.collection_cluster(collection)["local_shards"]} for node in cluster]
    return next(
        (source, target, shard)
        for target, lacks in enumerate(held)
        for source, has in enumerate(held)
        for shard in sorted(has - lacks)
    )


def _drop(node: QdrantApi, collection: str, shard: int, peer: int) -> None:
    """The copy was made only to be interrupted: drop it, complete or not; NotYet while it is there."""
    view = node.collection_cluster(collection)
    require(not view["shard_transfers"], "a transfer under way")
    if peer in replicas(view).get(shard, {}):
        node.drop_replica(collection, shard, peer)
        raise NotYet("the copy still there")
