"""Who is a member of the cluster at a node's address, and the ways in and out; seen from the nodes that stay."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from components.qdrant.haproxy import SERVER_PREFIX
from ops.daytwo.running import PAUSE_SECONDS, Running, await_true
from ops.stack import OperatorError
from qdrant_admin.api import NodeUnreachable, QdrantError
from qdrant_admin.cluster_view import NodeView, replicas, unsettled

TIMEOUT_SECONDS = 180
UNUSED_SECONDS = 30  # after which a silent copy that nobody gave up is taken for one that nobody calls
LAST_CALL_SECONDS = 10  # Qdrant tries three times: a call for a second, its health check for two, and pauses
LOOKS = 3  # in a row that must find the cluster settled


def peers_at(views: Sequence[NodeView], ordinals: Collection[int]) -> dict[int, int]:
    """Peer id -> ordinal of the members that are registered at these nodes' addresses, in anybody's view."""
    hosts = {f"{SERVER_PREFIX}{ordinal}": ordinal for ordinal in ordinals}
    return {
        int(peer): hosts[host]
        for view in views
        if view.cluster
        for peer, entry in view.cluster["peers"].items()
        if (host := str(urlsplit(entry["uri"]).hostname)) in hosts
    }


def _counted_on(views: Sequence[NodeView], ordinals: Collection[int]) -> bool:
    """Whether a node still counts on a copy at these addresses, or does not say."""
    gone = peers_at(views, ordinals)
    return any(view.cluster is None for view in views) or any(
        state != "Dead" and peer in gone
        for view in views
        for collection in view.collections.values()
        for states in replicas(collection).values()
        for peer, state in states.items()
    )


@dataclass(frozen=True, kw_only=True)
class Membership:
    """The cluster as the nodes see it that are there before, during and after a change."""

    running: Running
    staying: tuple[int, ...]  # ordinals

    @property
    def observers(self) -> Running:
        """The cluster, seen from the nodes that stay."""
        return self.running.only(self.staying)

    def views(self) -> list[NodeView]:
        return self.observers.views()

    def only_copies(self, leaving: Collection[int]) -> list[str]:
        """Shards that have no Active copy but on these peers."""
        view = self.views()[0]
        return [
            f"{name}, shard {shard}"
            for name, collection in view.collections.items()
            for shard, states in replicas(collection).items()
            if not {peer for peer, state in states.items() if state == "Active"} - set(leaving)
        ]

    def await_leader(self, *, that_stays: bool = True) -> None:
        """Return when the nodes that stay agree on a leader, without whom nobody can be removed.

        One that `that_stays`, when the others are dead: they may have been led by one of those, and not know it yet.
        """
        reasons = partial(self._without_leader, that_stays)
        await_true(reasons, "a leader of the nodes that stay", TIMEOUT_SECONDS, "See make status")

    def _without_leader(self, that_stays: bool) -> list[str]:
        views = self.views()
        if silent := [f"{view.url} {view.failure}" for view in views if view.cluster is None]:
            return silent
        members = {view.cluster["peer_id"] for view in views if view.cluster}
        leaders = {view.cluster["raft_info"]["leader"] for view in views if view.cluster}
        found = len(leaders) == 1 and None not in leaders and (leaders <= members or not that_stays)
        return [] if found else [f"leaders {sorted(map(str, leaders))}"]

    def await_unused(self, ordinals: Collection[int]) -> None:
        """Wait until nothing hangs on the copies at these addresses: no node counts on them, and the last calls ended.

        A write that is meant for a silent copy is tried again for seconds, and only then the copy is given up. To
        forget the copy waits for such a write, and every read of the shard waits behind that. A copy that nobody calls
        is never given up: `UNUSED_SECONDS` are all that is waited for one. A write that begins late in them is met.
        """
        deadline = time.monotonic() + UNUSED_SECONDS
        while _counted_on(views := self.views(), ordinals) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
        if peers_at(views, ordinals):
            time.sleep(LAST_CALL_SECONDS)

    def remove_peers(self, ordinals: Collection[int], *, force: bool) -> None:
        """Have the cluster forget who is registered at these addresses, and ask again until nobody knows them."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while known := peers_at(self.views(), ordinals):
            self.await_leader(that_stays=force)
            refusals = [self._refusal_to_forget(peer, force=force) for peer in known]
            if time.monotonic() > deadline:
                raise OperatorError(
                    f"expected {sorted(known)} to be forgotten within {TIMEOUT_SECONDS} s, found: {refusals[0]}. "
                    "See make status, then run the same command again"
                )

    def _refusal_to_forget(self, peer: int, *, force: bool) -> str:
        """What the node says; what became of it, only the next look tells."""
        try:
            self.observers.nodes[0].remove_peer(peer, force=force)
        except (QdrantError, NodeUnreachable) as error:
            if isinstance(error, QdrantError) and error.status < 500 and not force:
                raise  # it holds shards: only moving these helps
            time.sleep(0.5)
            return str(error)
        return "that it is still known"

    def await_joined(self) -> None:
        """Return when all nodes, the new one too, are one cluster that has settled."""
        await_true(lambda: unsettled(self.running.views()), "one settled cluster", TIMEOUT_SECONDS, "See make status")

    def await_recovery(self) -> None:
        """Return when the nodes that stay are one settled cluster with every copy declared, several looks in a row."""
        settled_looks = 0

        def reasons() -> list[str]:
            nonlocal settled_looks
            left = self._not_whole()
            settled_looks = 0 if left else settled_looks + 1
            return left or ([] if settled_looks >= LOOKS else [f"settled for {settled_looks} looks only"])

        await_true(reasons, "every copy of every shard, Active", TIMEOUT_SECONDS, "Run the same command again")

    def _not_whole(self) -> list[str]:
        return unsettled(self.views()) or self.observers.missing_copies()
