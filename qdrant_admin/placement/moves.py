"""Carrying a replica plan out on a cluster: one step at a time, each from a fresh look, until every node sees it done.

Nothing is remembered between steps but what goes wrong: after every step the cluster is looked at and planned again, so
that whoever interrupts this, or moves replicas beside it, only makes another state to go on from.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.observation import Look, take_look, words
from qdrant_admin.placement.plan import Drop, ReplicaPlan, Step, Wanted, plan_replicas

PAUSE_SECONDS = 0.5
ATTEMPTS = 3  # of the same step
ADVICE = "see that all nodes are up (make status), then run the same command again: it goes on from here"


class MovesStopped(RuntimeError):
    """The replicas are not where they should be; what was reached stays, and running it again goes on from there."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What `replica_plan.Wanted` says, for a cluster whose peers are yet to be asked for."""

    factor: int
    leaving: frozenset[int] = frozenset()
    rebalance: bool = False


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long it may take in all, and how long nothing at all may change."""

    timeout_seconds: float = 3600
    stalled_seconds: float = 60


def move_replicas(
    nodes: Nodes,
    name: str,
    goal: Goal,
    timeouts: Timeouts | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> int:
    """Move until every shard stands, Active, where it should, seen from every node; returns how many steps it took.

    MovesStopped when that cannot be, when a step fails again and again, or when nothing moves any more; a transfer
    that does not move is aborted first. `told` hears of each step, in words.
    """
    return _Mover(nodes, name, goal, timeouts or Timeouts(), told).run()


def plan_for(look: Look, goal: Goal, stuck: frozenset[tuple[int, int]] = frozenset()) -> ReplicaPlan:
    """What would be done now; what a dry run shows."""
    wanted = Wanted(
        factor=goal.factor,
        peers=look.peers,
        leaving=goal.leaving,
        stuck=stuck & look.recovering,
        rebalance=goal.rebalance,
    )
    return plan_replicas(look.placed, wanted)


@dataclass(kw_only=True)
class _Watch:
    """Notices when nothing changes any more."""

    timeouts: Timeouts
    began: float = field(default_factory=time.monotonic)
    changed: float = field(default_factory=time.monotonic)
    last: Any = None

    def note(self, progress: Any) -> None:
        if progress != self.last:
            self.last, self.changed = progress, time.monotonic()

    @property
    def stalled(self) -> bool:
        return time.monotonic() - self.changed > self.timeouts.stalled_seconds

    @property
    def over(self) -> bool:
        return time.monotonic() - self.began > self.timeouts.timeout_seconds


class _Mover:
    def __init__(self, nodes: Nodes, name: str, goal: Goal, timeouts: Timeouts, told: Callable[[str], None]) -> None:
        self._nodes, self._name, self._goal, self._patience, self._told = nodes, name, goal, timeouts, told
        self._watch = _Watch(timeouts=timeouts)
        self._attempts: Counter[Step] = Counter()
        self._refusal = ""
        self._stuck: frozenset[tuple[int, int]] = frozenset()

    def run(self) -> int:
        while True:
            look = take_look(self._nodes, self._name)
            self._watch.note(look.progress())
            plan = plan_for(look, self._goal, self._stuck)
            if step := look.next_step(plan):
                self._take(step)
            elif left := look.left(plan):
                self._wait(look, left)
            else:
                return self._attempts.total()

    def _take(self, step: Step) -> None:
        """Whether it was taken, only the next look tells: a time-out, a conflict or a new leader says nothing of it."""
        if self._attempts[step] == ATTEMPTS:
            found = self._refusal or "that its copy did not become Active"
            raise MovesStopped(f"{self._name}: expected to {words(step)}, found {found}, {ATTEMPTS} times; {ADVICE}")
        self._attempts[step] += 1
        self._told(f"{self._name}: {words(step)}")
        try:
            self._nodes.first(lambda node: _ask(node, self._name, step))
            self._refusal = ""
        except (QdrantError, NodeUnreachable) as error:
            self._refusal = str(error)
            time.sleep(PAUSE_SECONDS)
        if isinstance(step, Drop):
            self._stuck -= {(step.shard, step.peer)}

    def _wait(self, look: Look, left: list[str]) -> None:
        limit = self._patience.timeout_seconds
        if self._watch.over:
            raise MovesStopped(f"{self._name}: expected {self._wish} within {limit:.0f} s, {_found(left)}; {ADVICE}")
        if self._watch.stalled:
            self._unstick(look, left)
        time.sleep(PAUSE_SECONDS)

    def _unstick(self, look: Look, left: list[str]) -> None:
        """A transfer that does not move is aborted; a copy that does not recover is made anew, once; that is all."""
        still = f"for {self._patience.stalled_seconds:.0f} s nothing has moved"
        for transfer in look.transfers:
            ends = (transfer["shard_id"], transfer["from"], transfer["to"])
            self._nodes.first(lambda node, ends=ends: node.abort_transfer(self._name, *ends))  # type: ignore[misc]
        if look.transfers:
            raise MovesStopped(f"{self._name}: {still}, {_found(left)}; the transfer was aborted; {ADVICE}")
        stuck = frozenset((shard, peer) for shard, peer in look.recovering if peer not in look.silent)
        if stuck <= self._stuck:
            raise MovesStopped(f"{self._name}: expected {self._wish}, but {still}, {_found(left)}; {ADVICE}")
        self._stuck |= stuck
        self._watch.changed = time.monotonic()

    @property
    def _wish(self) -> str:
        return f"{self._goal.factor} Active replicas of every shard"


def _ask(node: QdrantApi, name: str, step: Step) -> None:
    if isinstance(step, Drop):
        node.drop_replica(name, step.shard, step.peer)
    else:
        node.replicate_shard(name, step.shard, step.from_peer, step.to_peer)


def _found(left: list[str]) -> str:
    more = f" and {len(left) - 4} more" if len(left) > 4 else ""
    return f"found: {'; '.join(left[:4])}{more}"
