"""Replacing a node whose disk is lost: emptied, removed, joined anew, and every copy it held created again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from access.haproxy import BalancerApi
from access.polling import summary
from components.qdrant.haproxy import SERVER_PREFIX
from ops import lifecycle
from ops.balancer import into_traffic, out_of_traffic
from ops.daytwo.membership import Membership, peers_at
from ops.daytwo.node_disk import NodeDisk
from ops.daytwo.running import Running, plainly
from ops.daytwo.steps import Step
from ops.stack import OperatorError, StackFiles, only_one
from qdrant_admin.placement.moves import move_replicas

FORCE = "To replace it all the same: FORCE_LIVING=1"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One node of a running stack, and what its replacement needs."""

    files: StackFiles
    running: Running
    balancers: Sequence[BalancerApi]
    disk: NodeDisk
    console: Console

    @property
    def ordinal(self) -> int:
        return self.disk.ordinal

    @property
    def membership(self) -> Membership:
        others = (other for other in range(len(self.running.node_urls)) if other != self.ordinal)
        return Membership(running=self.running, staying=tuple(others))

    def steps(self, *, force_living: bool = False) -> list[Step]:
        """What is left to be done; OperatorError when the node needs no replacing, or must not be replaced."""
        with plainly("reading the state of the cluster"):
            views = self.running.views()
            mine, others = views[self.ordinal], self.membership.views()
            registered = peers_at(others, {self.ordinal})
            lives = mine.cluster is not None and mine.cluster["peer_id"] in registered
            if lives and not force_living:
                return self._only_copies_are_missing()
            if not force_living and registered and not self.disk.diagnose():
                raise OperatorError(
                    f"expected a node whose disk is lost, found that {self.disk.name} only does not answer and nothing "
                    f"wrong with its disk: make up REFRESH=1 starts it, or reports why it cannot. {FORCE}"
                )
            self._refuse_last_copies(set(registered))
        return [*self._empty_and_remove(), *self._join_and_copy()]

    def _only_copies_are_missing(self) -> list[Step]:
        """It is a member: nothing is wrong with it, or an earlier run was interrupted before the copies were made."""
        if not self.membership.observers.missing_copies():
            raise OperatorError(
                f"expected a node whose disk is lost, found that {self.disk.name} lives and that no copy is missing. "
                f"{FORCE}"
            )
        return self._copy()

    def _refuse_last_copies(self, peers: set[int]) -> None:
        if bare := self.membership.only_copies(peers):
            raise OperatorError(
                f"expected an Active copy of every shard on another node, found none of {summary(bare)}: with "
                "this node they would be gone. Bring it back, or restore from a backup first (make restore)"
            )

    def _empty_and_remove(self) -> list[Step]:
        name, membership = self.disk.name, self.membership
        return [
            Step(f"take {name} out of traffic", self._drain),
            Step(f"end {name} and give it an empty disk", self.disk.give_up),
            Step("wait for a leader among the others", membership.await_leader),
            Step("wait until no node uses its copies", lambda: membership.await_unused({self.ordinal})),
            Step(
                f"remove {SERVER_PREFIX}{self.ordinal} and its copies from the cluster",
                lambda: membership.remove_peers({self.ordinal}, force=True),
            ),
        ]

    def _join_and_copy(self) -> list[Step]:
        return [
            Step(f"start {self.disk.name}, which joins as a new peer", self._start),
            Step("wait until it is a voter and all agree", self.membership.await_joined),
            *self._copy(),
        ]

    def _copy(self) -> list[Step]:
        collections = sorted(self.membership.views()[0].collections)
        all_nodes = Membership(running=self.running, staying=tuple(range(len(self.running.node_urls))))
        return [
            *(Step(f"make the missing copies of {name}", partial(self._make_copies, name)) for name in collections),
            Step("see every copy Active, from every node", all_nodes.await_recovery),
            Step(f"give {self.disk.name} traffic again", self._readmit),
        ]

    def _make_copies(self, name: str) -> None:
        move_replicas(self.running.peers(), name, self.running.placement_spec(name), on_progress=self.console.print)

    def _start(self) -> None:
        """As it is, if its container exists; else by `up`, which creates what is missing."""
        with only_one():
            started = self.disk.start()
        if not started:
            lifecycle.deploy(self.files, self.console)
            self._drain()  # the gate gave it traffic; it has no copies yet

    def _drain(self) -> None:
        out_of_traffic(self.balancers, [self.ordinal], self.console)

    def _readmit(self) -> None:
        into_traffic(self.balancers, [self.ordinal], self.console)
