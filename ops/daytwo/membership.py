"""Which peers are members of the cluster at a node's address, and how they leave and join, as other nodes see it."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from access.polling import SYSTEM_CLOCK, Clock, NotYet, PollTimeout, poll, require, require_none, summary
from components.qdrant.haproxy import SERVER_PREFIX
from ops.daytwo.running import Running
from qdrant_admin.api import NodeUnreachable, QdrantError
from qdrant_admin.cluster_view import NodeView, active_peers, replicas, unsettled

TIMEOUT_SECONDS = 180
UNUSED_SECONDS = 30  # after which a silent copy that is not yet Dead is taken for one that no client calls
LAST_CALL_SECONDS = 10  # Qdrant tries three times: a call for a second, its health check for two, and pauses
OBSERVATIONS = 3  # in a row that must find the cluster settled


def peers_at(views: Sequence[NodeView], ordinals: Collection[int]) -> dict[int, int]:
    """Peer id -> ordinal of the members registered at these nodes' addresses, as any node reports them."""
    hosts = {f"{SERVER_PREFIX}{ordinal}": ordinal for ordinal in ordinals}
    return {
        int(peer): hosts[host]
        for view in views
        if view.cluster
        for peer, entry in view.cluster["peers"].items()
        if (host := str(urlsplit(entry["uri"]).hostname)) in hosts
    }


def _used(views: Sequence[NodeView], ordinals: Collection[int]) -> bool:
    """Whether a node may still use a copy at these addresses: none that answers does, once it has marked it Dead."""
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
    """The cluster as observed from the nodes that are members before, during and after a change."""

    running: Running
    staying: tuple[int, ...]  # ordinals
    clock: Clock = SYSTEM_CLOCK

    @property
    def observers(self) -> Running:
        """The cluster by the nodes that stay."""
        return self.running.only(self.staying)

    def views(self) -> list[NodeView]:
        return self.observers.views()

    def only_copies(self, leaving: Collection[int]) -> list[str]:
        """Shards that have no Active copy but on these peers."""
        return [
            f"{name}, shard {shard}"
            for name, collection in self.views()[0].collections.items()
            for shard in replicas(collection)
            if not active_peers(collection, shard) - set(leaving)
        ]

    def await_leader(self, *, that_stays: bool = True) -> None:
        """Return when the nodes that stay agree on a leader: without one no peer can be removed.

        With `that_stays` it is one of them: when the others are dead, they may have been led by one of those, and not
        have noticed yet.
        """
        expected = "a leader of the nodes that stay"
        self._await(lambda: self._require_leader(that_stays), expected, advice="See make status")

    def _require_leader(self, that_stays: bool) -> None:
        views = self.views()
        require_none([f"{view.url} {view.failure}" for view in views if view.cluster is None])
        members = {view.cluster["peer_id"] for view in views if view.cluster}
        leaders = {view.cluster["raft_info"]["leader"] for view in views if view.cluster}
        agreed = len(leaders) == 1 and None not in leaders and (leaders <= members or not that_stays)
        require(agreed, f"leaders {sorted(map(str, leaders))}")

    def await_unused(self, ordinals: Collection[int]) -> None:
        """Wait until no node uses the copies at these addresses, and the last calls of them have ended.

        Qdrant retries a write to a silent copy for seconds before it marks the copy Dead. To remove the copy waits for
        such a write, and every read of the shard waits behind that. A copy that no client calls is never marked Dead:
        it is waited for no longer than `UNUSED_SECONDS`. A write that begins late in them is met.
        """

        def unused() -> None:
            require(not _used(self.views(), ordinals), "copies in use")

        with suppress(PollTimeout):
            poll(unused, UNUSED_SECONDS, expected="unused copies", clock=self.clock)
        if peers_at(self.views(), ordinals):
            self.clock.sleep(LAST_CALL_SECONDS)

    def remove_peers(self, ordinals: Collection[int], *, force: bool) -> None:
        """Remove the peers registered at these addresses, again and again until no node reports them any more."""

        def removed() -> None:
            if known := peers_at(self.views(), ordinals):
                self.await_leader(that_stays=force)
                raise NotYet(summary([self._removal_error(peer, force=force) for peer in known]))

        names = ", ".join(f"{SERVER_PREFIX}{ordinal}" for ordinal in ordinals)
        advice = "See make status, then run the same command again"
        self._await(removed, f"{names} to be removed from the cluster", advice)

    def _removal_error(self, peer: int, *, force: bool) -> str:
        """The node's error, if any; only the next observation shows whether the peer is removed."""
        try:
            self.observers.nodes[0].remove_peer(peer, force=force)
        except (QdrantError, NodeUnreachable) as error:
            if isinstance(error, QdrantError) and error.status < 500 and not force:
                raise  # it holds shards: only moving these helps
            return str(error)
        return "it is still a member"

    def await_joined(self) -> None:
        """Return when all nodes, the new one too, are one cluster that has settled."""
        self._await(lambda: require_none(unsettled(self.running.views())), "one settled cluster", "See make status")

    def await_recovery(self) -> None:
        """Return when the nodes that stay are one settled cluster with every copy declared, several times in a row."""
        advice = "Run the same command again"
        self._await(self._require_recovery, "every copy of every shard, Active", advice, consecutive=OBSERVATIONS)

    def _require_recovery(self) -> None:
        require_none(unsettled(self.views()) or self.observers.missing_copies())

    def _await(self, probe: Callable[[], None], expected: str, advice: str, consecutive: int = 1) -> None:
        poll(probe, TIMEOUT_SECONDS, expected=expected, advice=advice, consecutive=consecutive, clock=self.clock)
