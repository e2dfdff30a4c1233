"""Another number of nodes: new ones get their share of the copies, those that leave are emptied first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console
from rich.table import Table

from access.haproxy import BalancerApi
from access.polling import summary
from components.qdrant.haproxy import SERVER_PREFIX
from ops import lifecycle
from ops.balancer import out_of_traffic
from ops.daytwo.membership import Membership, peers_at
from ops.daytwo.node_disk import NodeDisk
from ops.daytwo.protection import allow_deletion
from ops.daytwo.running import Running, plainly
from ops.daytwo.steps import Step
from ops.recorded_nodes import recorded_as
from ops.stack import OperatorError, StackFiles, only_one, open_stack, outputs
from qdrant_admin.placement.moves import move_replicas, plan_for
from qdrant_admin.placement.observation import PlacementObservation, observe_placement
from qdrant_admin.placement.plan import Drop, PlacementSpec, ReplicaPlan


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """A running stack, and how many nodes its stack file wants."""

    files: StackFiles
    running: Running
    balancers: Sequence[BalancerApi]
    disks: Callable[[int], NodeDisk]  # by a node's ordinal
    nodes: int
    console: Console

    @property
    def now(self) -> int:
        return len(self.running.node_urls)

    @property
    def leaving(self) -> range:
        """Ordinals of the nodes that leave: the last ones."""
        return range(self.nodes, self.now)

    def registered(self) -> dict[int, int]:
        """Peer id -> ordinal of the nodes that leave and are still members."""
        return peers_at(self.running.views()[: self.nodes], self.leaving)

    def table(self) -> Table:
        """Which copy moves where, in which order, with how many points; the new nodes have no peer id yet."""
        table = Table("collection", "", "shard", "points", "step", title=f"{self.now} → {self.nodes} nodes")
        with plainly("planning"):
            leaving = self.registered()
            running = self.running if leaving else self.running.only(range(min(self.now, self.nodes)))
            called = {peer: f"{SERVER_PREFIX}{n}" for peer, n in peers_at(running.views(), range(self.now)).items()}
            called |= {-n: f"{SERVER_PREFIX}{n}" for n in range(self.now, self.nodes)}
            for name in sorted(self.running.living()[0].collections()):
                observation = observe_placement(running.peers(), name)
                plan = self._plan(observation, frozenset(leaving))
                self._refuse_unmet(name, plan)
                for number, (shard, description) in enumerate(_describe(plan, called), start=1):
                    table.add_row(name, str(number), str(shard), str(_points(observation, shard)), description)
        return table

    def _plan(self, observation: PlacementObservation, leaving: frozenset[int]) -> ReplicaPlan:
        coming = frozenset(-n for n in range(self.now, self.nodes))
        return plan_for(replace(observation, peers=observation.peers | coming), self._spec(observation.name, leaving))

    def _spec(self, name: str, leaving: frozenset[int]) -> PlacementSpec:
        return replace(self.running.placement_spec(name), leaving=leaving, rebalance=True)

    def _refuse_unmet(self, name: str, plan: ReplicaPlan) -> None:
        if plan.unmet:
            raise OperatorError(
                f"expected {self.nodes} nodes to be enough for {name}, found {summary(plan.unmet)}. Nothing was "
                "changed; lower its replication factor first, or keep more nodes"
            )

    def steps(self) -> list[Step]:
        """What is to be done; OperatorError when there is nothing."""
        if self.nodes > self.now:
            return [
                Step(f"make up with {self.nodes} nodes: every node is changed, one after another", self._up),
                Step("give the new nodes their share of the copies", self._rebalance),
                Step("see every copy Active, from every node", self._await_recovery),
            ]
        if self.nodes < self.now:
            return self._inwards()
        return [  # an interrupted run, or nodes that a plain make up has added
            Step("give every node its share of the copies", self._rebalance),
            Step("see every copy Active, from every node", self._await_recovery),
        ]

    def _inwards(self) -> list[Step]:
        """An interrupted run may have removed the peers already: then nothing more is asked of them."""
        names = ", ".join(f"{SERVER_PREFIX}{n}" for n in self.leaving)
        return [
            *(self._out_of_the_cluster(names) if self.registered() else []),
            *self._out_of_the_way(names),
            Step(f"make up with {self.nodes} nodes, which deletes the disks of {names}", self._down_to),
            Step("see every copy Active, from every node that stays", self._await_recovery),
        ]

    def _out_of_the_cluster(self, names: str) -> list[Step]:
        staying = Membership(running=self.running, staying=tuple(range(self.nodes)))
        return [
            Step(f"move all copies away from {names}", self._empty),
            Step(f"take {names} out of traffic", self._drain),
            Step(
                f"remove {names} from the cluster, which it refuses while they hold a shard",
                partial(staying.remove_peers, self.leaving, force=False),
            ),
        ]

    def _out_of_the_way(self, names: str) -> list[Step]:
        """No use where they are restarted at once: there `up` ends them before it touches any other node."""
        disks = [self.disks(ordinal) for ordinal in self.leaving]
        if not all(disk.stays_away for disk in disks):
            return []
        return [Step(f"end {names}: they must not act as members any more", lambda: _end(disks))]

    def _move(self, running: Running, leaving: frozenset[int]) -> None:
        for name in sorted(running.living()[0].collections()):
            move_replicas(running.peers(), name, self._spec(name, leaving), on_progress=self.console.print)

    def _empty(self) -> None:
        self._move(self.running, frozenset(self.registered()))

    def _rebalance(self) -> None:
        self._move(self._current(), frozenset())

    def _current(self) -> Running:
        """The cluster as it is after `up`, with the new nodes and without those that left."""
        return Running.of(outputs(open_stack(self.files)))

    def _await_recovery(self) -> None:
        running = self._current()
        Membership(running=running, staying=tuple(range(len(running.node_urls)))).await_recovery()

    def _up(self) -> None:
        lifecycle.deploy(self.files, self.console)

    def _drain(self) -> None:
        out_of_traffic(self.balancers, self.leaving, self.console)

    def _down_to(self) -> None:
        with only_one():
            allow_deletion(open_stack(self.files), recorded_as(self.leaving))
        lifecycle.deploy(self.files, self.console, emptied=self.leaving)


def _end(disks: Iterable[NodeDisk]) -> None:
    for disk in disks:
        disk.end()


def _describe(plan: ReplicaPlan, called: dict[int, str]) -> Iterator[tuple[int, str]]:
    for step in plan.steps:
        if isinstance(step, Drop):
            yield step.shard, f"drop from {called.get(step.peer, step.peer)}"
        else:
            ends = f"{called.get(step.from_peer, step.from_peer)} to {called.get(step.to_peer, step.to_peer)}"
            yield step.shard, f"copy from {ends}"


def _points(observation: PlacementObservation, shard: int) -> int:
    counts = (
        s["points_count"] for view in observation.answered for s in view["local_shards"] if s["shard_id"] == shard
    )
    return max(counts, default=0)
