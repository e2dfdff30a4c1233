"""Carrying a replica plan out on a cluster: one step at a time, until every node reports it done.

Only failures are remembered between steps. After every step the cluster is observed and planned again, so that an
interruption, or another client that moves replicas, only leaves another state to go on from.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from access.polling import PollTimeout, poll, require_none, summary
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError
from qdrant_admin.nodes import Nodes
from qdrant_admin.placement.observation import PlacementObservation, describe, observe_placement
from qdrant_admin.placement.plan import Drop, PlacementSpec, ReplicaPlan, Step, plan_replicas
from qdrant_admin.progress import ProgressCallback

PAUSE_SECONDS = 0.5
ATTEMPTS = 3  # of the same step
ADVICE = "see that all nodes are up (make status), then run the same command again: it goes on from here"


class MovesStopped(RuntimeError):
    """The replicas are not where the spec puts them; what was reached stays, and the next run goes on from there."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long it may take in all, and how long nothing at all may change."""

    timeout_seconds: float = 3600
    stalled_seconds: float = 60


def move_replicas(
    nodes: Nodes,
    name: str,
    spec: PlacementSpec,
    timeouts: Timeouts | None = None,
    on_progress: ProgressCallback = lambda _: None,
) -> int:
    """Move until every node reports every shard Active where the spec puts it; returns how many steps it took.

    MovesStopped when that cannot be, when a step fails again and again, or when nothing moves any more; a transfer
    that does not move is aborted first. `on_progress` gets a line for each step.
    """
    return _Mover(nodes, name, spec, timeouts or Timeouts(), on_progress).run()


def plan_for(
    observation: PlacementObservation, spec: PlacementSpec, stuck: frozenset[tuple[int, int]] = frozenset()
) -> ReplicaPlan:
    """What would be done now; what a dry run shows."""
    now = replace(spec, peers=observation.peers, stuck=stuck & observation.recovering)
    return plan_replicas(observation.placed, now)


class _Mover:
    def __init__(
        self, nodes: Nodes, name: str, spec: PlacementSpec, timeouts: Timeouts, on_progress: ProgressCallback
    ) -> None:
        self._nodes, self._name, self._spec, self._timeouts, self._report = nodes, name, spec, timeouts, on_progress
        self._wish = f"{spec.factor} Active replicas of every shard"
        self._progress: Any = None
        self._changed_at = nodes.clock.now()
        self._attempts: Counter[Step] = Counter()
        self._refusal = ""
        self._stuck: frozenset[tuple[int, int]] = frozenset()

    def run(self) -> int:
        seconds, clock = self._timeouts.timeout_seconds, self._nodes.clock
        try:
            poll(self._advance, seconds, expected=self._wish, interval_seconds=PAUSE_SECONDS, clock=clock)
        except PollTimeout as timeout:
            raise self._stopped(str(timeout)) from None
        return self._attempts.total()

    def _advance(self) -> None:
        """Take every step that can be taken now; NotYet with what remains after that."""
        while True:
            observation = observe_placement(self._nodes, self._name)
            if self._progress != (progress := observation.progress()):
                self._progress, self._changed_at = progress, self._nodes.clock.now()
            plan = plan_for(observation, self._spec, self._stuck)
            step = observation.next_step(plan)
            if step is None:
                break
            self._take(step)
        remaining = observation.remaining(plan)
        if remaining and self._nodes.clock.now() - self._changed_at > self._timeouts.stalled_seconds:
            self._unstick(observation, f"found {summary(remaining)}")
        require_none(remaining)

    def _take(self, step: Step) -> None:
        """Only the next observation shows whether it was taken: a time-out, a conflict or a new leader does not."""
        if self._attempts[step] == ATTEMPTS:
            found = self._refusal or "that its copy did not become Active"
            raise self._stopped(f"expected to {describe(step)}, found {found}, {ATTEMPTS} times")
        self._attempts[step] += 1
        self._report(f"{self._name}: {describe(step)}")
        try:
            self._nodes.first(lambda node: _ask(node, self._name, step))
            self._refusal = ""
        except (QdrantError, NodeUnreachable) as error:
            self._refusal = str(error)
            self._nodes.clock.sleep(PAUSE_SECONDS)
        if isinstance(step, Drop):
            self._stuck -= {(step.shard, step.peer)}

    def _unstick(self, observation: PlacementObservation, found: str) -> None:
        """Abort a transfer that does not move, and end; have a copy that does not recover made anew, once."""
        still = f"for {self._timeouts.stalled_seconds:.0f} s nothing has moved"
        for transfer in observation.transfers:
            ends = (transfer["shard_id"], transfer["from"], transfer["to"])
            self._nodes.first(lambda node, ends=ends: node.abort_transfer(self._name, *ends))  # type: ignore[misc]
        if observation.transfers:
            raise self._stopped(f"{still}, {found}; the transfer was aborted")
        stuck = frozenset((shard, peer) for shard, peer in observation.recovering if peer not in observation.silent)
        if stuck <= self._stuck:
            raise self._stopped(f"expected {self._wish}, but {still}, {found}")
        self._stuck |= stuck
        self._changed_at = self._nodes.clock.now()

    def _stopped(self, message: str) -> MovesStopped:
        return MovesStopped(f"{self._name}: {message}; {ADVICE}")


def _ask(node: QdrantApi, name: str, step: Step) -> None:
    if isinstance(step, Drop):
        node.drop_replica(name, step.shard, step.peer)
    else:
        node.replicate_shard(name, step.shard, step.from_peer, step.to_peer)
