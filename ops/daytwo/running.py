"""A cluster that runs: its nodes one by one, which peer each of them is, and what its collections are called."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from access.polling import SYSTEM_CLOCK, Clock, PollTimeout, poll, require_none
from ops.stack import OperatorError
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.cluster_view import NodeView, active_peers, observe_nodes
from qdrant_admin.collection.generations import draining_alias
from qdrant_admin.placement.moves import MovesStopped, plan_for
from qdrant_admin.placement.observation import observe_placement
from qdrant_admin.placement.plan import PlacementSpec
from qdrant_admin.points.client import NodePoints
from qdrant_admin.snapshots import SnapshotApi

PAUSE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Running(ClusterAccess):
    """The cluster of a stack that runs."""

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> Self:
        """From the outputs of the stack."""
        return cls(node_urls=tuple(outputs["qdrantNodeUrls"]), api_key=outputs["qdrantApiKey"])

    def only(self, ordinals: Iterable[int]) -> Self:
        """The same cluster, seen from these nodes only."""
        return replace(self, node_urls=tuple(self.node_urls[ordinal] for ordinal in ordinals))

    def missing_copies(self) -> list[str]:
        """Copies that are declared and not there, or not Active, in the view of any of these nodes."""
        reasons: list[str] = []
        for name in self.living()[0].collections():
            spec, observation = self.placement_spec(name), observe_placement(self.peers(), name)
            reasons += [f"{name}: {reason}" for reason in observation.remaining(plan_for(observation, spec))]
        return reasons

    def aliases_of(self, name: str) -> list[str]:
        """Names by which clients call the collection, without the mark of one that is being drained."""
        known = self.living()[0].aliases()
        marks = {draining_alias(alias) for alias in known}
        return sorted(alias for alias, of in known.items() if of == name and alias not in marks)

    def placement_spec(self, name: str) -> PlacementSpec:
        """As many copies as the collection's parameters say; OperatorError when it is gone."""
        found = self.living()[0].collection(name)
        if found is None:
            raise OperatorError(f"expected a collection {name}, found none; see make status")
        return PlacementSpec(factor=found["config"]["params"]["replication_factor"])

    def snapshots(self, url: str) -> SnapshotApi:
        """A client of one node's snapshots."""
        return SnapshotApi(url, self.api_key)

    def views(self) -> list[NodeView]:
        """What every node reports now."""
        return observe_nodes([QdrantApi(url, self.api_key, timeout_seconds=5) for url in self.node_urls])

    def living(self) -> list[NodePoints]:
        """Clients of the nodes that answer as members of a cluster; OperatorError when none does."""
        silent = {view.url for view in self.views() if view.cluster is None}
        if living := [node for node in self.nodes if node.url not in silent]:
            return living
        raise OperatorError("expected a node of Qdrant that answers, found none; see make status")

    def url_of_peer(self) -> dict[int, str]:
        """Peer id -> address from here, of the nodes that answer."""
        return {view.cluster["peer_id"]: view.url for view in self.views() if view.cluster}

    def version(self) -> str:
        """The version that all nodes have; OperatorError when they differ."""
        versions = {node.version() for node in self.living()}
        if len(versions) != 1:
            raise OperatorError(
                f"expected one version of Qdrant on all nodes, found {', '.join(sorted(versions))}; "
                "wait until the rolling update has ended"
            )
        return versions.pop()

    def holders(self, name: str) -> dict[int, list[str]]:
        """Shard -> addresses of the nodes that hold it Active and answer; OperatorError for a shard that none does."""
        urls = self.url_of_peer()
        view = self.living()[0].collection_cluster(name)
        shards = sorted({shard["shard_id"] for shard in view["local_shards"] + view["remote_shards"]})
        found = {shard: [urls[peer] for peer in sorted(active_peers(view, shard)) if peer in urls] for shard in shards}
        if bare := [shard for shard, holders in found.items() if not holders]:
            raise OperatorError(
                f"expected an Active copy of every shard of {name} on a node that answers, found none of shard "
                f"{', '.join(map(str, bare))}; bring its node back first, see make status"
            )
        return found


def spread(holders: Mapping[int, list[str]]) -> dict[int, str]:
    """Shard -> one of its holders, so that no node has much more to do than another."""
    chosen: dict[int, str] = {}
    for shard, urls in sorted(holders.items(), key=lambda each: (len(each[1]), each[0])):
        chosen[shard] = min(urls, key=lambda url: (list(chosen.values()).count(url), url))
    return dict(sorted(chosen.items()))


def await_true(
    reasons: Callable[[], list[str]], expected: str, seconds: float, advice: str, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Return when there is no reason left to wait; OperatorError with those that are left when the time is over."""
    try:
        poll(
            lambda: require_none(reasons()),
            seconds,
            expected=expected,
            advice=advice,
            interval_seconds=PAUSE_SECONDS,
            clock=clock,
        )
    except PollTimeout as error:
        raise OperatorError(str(error)) from error


@contextmanager
def plainly(doing: str) -> Iterator[None]:
    """Errors of nodes and time-outs become an OperatorError; a time-out has its own advice."""
    try:
        yield
    except (MovesStopped, TimeoutError) as error:
        raise OperatorError(f"{doing} stopped: {error}") from error
    except (QdrantError, NodeUnreachable) as error:
        raise OperatorError(f"{doing} stopped: {error}. Mend it and run the same command again") from error
