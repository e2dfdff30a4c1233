"""Which replicas to create and which to drop, in which order, so that every shard has its copies; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from qdrant_admin.placement.cheapest import Copies, Load, cheapest_ends, gap

Placed = Mapping[int, Mapping[int, str]]  # shard -> peer -> state


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """Copy a shard from a peer where it is Active to one that has none."""

    shard: int
    from_peer: int
    to_peer: int


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Drop the replica of a shard on a peer."""

    shard: int
    peer: int


Step = Replicate | Drop


@dataclass(frozen=True, kw_only=True)
class PlacementSpec:
    """How many copies each shard should have, and where they may stand.

    `peers` are the members of the cluster, as observed; `leaving` are those of them to be emptied. `stuck` are replicas
    (shard, peer) that do not recover by themselves; every other one that is not Active is left to Qdrant, which
    recovers it. With `rebalance`, Active replicas move as well until no peer holds two more than another.
    """

    factor: int
    peers: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    stuck: frozenset[tuple[int, int]] = frozenset()
    rebalance: bool = False

    @cached_property
    def eligible(self) -> frozenset[int]:
        return self.peers - self.leaving

    @cached_property
    def copies(self) -> int:
        return min(self.factor, len(self.eligible))


@dataclass(frozen=True, kw_only=True)
class ReplicaPlan:
    """Steps in order, and what they do not lead to.

    `waiting`: copies that may be dropped only when another one has recovered; plan again then. `unmet`: never reached.
    """

    steps: tuple[Step, ...]
    waiting: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    uneven: str = ""


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """One shard: the peers that hold a copy, by its state, and those that are to hold one in the end."""

    lost: frozenset[int]
    active: frozenset[int]
    recovering: frozenset[int]
    final: frozenset[int]

    @property
    def sound(self) -> frozenset[int]:
        return self.active | self.recovering

    @property
    def new(self) -> list[int]:
        return sorted(self.final - self.sound)

    @property
    def surplus(self) -> list[int]:
        """Active copies to drop."""
        return sorted(self.active - self.final)

    @property
    def spare(self) -> int:
        """How many of them may be dropped before a recovering copy is Active in their place."""
        serving = len(self.active) + len(self.new)
        return max(0, serving - min(len(self.active), len(self.final)))


def plan_replicas(placed: Placed, wanted: PlacementSpec) -> ReplicaPlan:
    """The fewest transfers that give every shard its copies on distinct peers, the most endangered shard first.

    No step leaves a shard with fewer Active copies than it had or should have, whichever is less; where no peer may
    hold any, there is no step.
    """
    lost = {shard: _lost(shard, replicas, wanted) for shard, replicas in placed.items()}
    copies = {shard: _copies(replicas, lost[shard]) for shard, replicas in sorted(placed.items())}
    hopeless = [shard for shard, there in copies.items() if not there.active]
    if not wanted.eligible:
        return ReplicaPlan(steps=(), unmet=tuple(_unmet(hopeless, wanted)))
    for shard in hopeless:
        del copies[shard]
    ends = cheapest_ends(copies, wanted.eligible, wanted.copies, even_first=wanted.rebalance)
    choices = {
        shard: _Choice(lost=lost[shard], active=there.active, recovering=there.recovering, final=frozenset(ends[shard]))
        for shard, there in copies.items()
    }
    changed = [shard for shard, choice in choices.items() if choice.lost or choice.final != choice.sound]
    by_danger = sorted(changed, key=lambda shard: (len(choices[shard].active), shard))
    return ReplicaPlan(
        steps=tuple(step for shard in by_danger for step in _steps(shard, choices[shard])),
        waiting=tuple(text for shard in by_danger for text in _waiting(shard, choices[shard])),
        unmet=tuple(_unmet(hopeless, wanted)),
        uneven=_uneven(dict.fromkeys(wanted.eligible, 0) | Counter(peer for on in ends.values() for peer in on)),
    )


def _lost(shard: int, replicas: Mapping[int, str], wanted: PlacementSpec) -> frozenset[int]:
    """The peers whose copy does not count: they are no members any more, or it does not recover."""
    stuck = {peer for peer, state in replicas.items() if state != "Active" and (shard, peer) in wanted.stuck}
    return frozenset(stuck | (replicas.keys() - wanted.peers))


def _copies(replicas: Mapping[int, str], lost: frozenset[int]) -> Copies:
    active = frozenset(peer for peer, state in replicas.items() if state == "Active") - lost
    return Copies(active=active, recovering=frozenset(replicas) - lost - active)


def _steps(shard: int, choice: _Choice) -> Iterator[Step]:
    """Lost copies are dropped to make room, new ones are created, and only then surplus ones are dropped."""
    for peer in sorted(choice.lost):
        yield Drop(shard=shard, peer=peer)
    source = min(choice.active - choice.final or choice.active)  # rather a copy that is dropped afterwards
    for peer in choice.new:
        yield Replicate(shard=shard, from_peer=source, to_peer=peer)
    recovering = sorted(choice.recovering - choice.final)
    for peer in [*recovering, *choice.surplus[: choice.spare]]:
        yield Drop(shard=shard, peer=peer)


def _waiting(shard: int, choice: _Choice) -> Iterator[str]:
    for peer in choice.surplus[choice.spare :]:
        recovering = ", ".join(map(str, sorted(choice.recovering & choice.final)))
        yield f"shard {shard} leaves peer {peer} when its copy on {recovering} has recovered"


def _unmet(lost: list[int], wanted: PlacementSpec) -> Iterator[str]:
    if len(wanted.eligible) < wanted.factor:
        yield f"{wanted.factor} copies need as many peers, and only {len(wanted.eligible)} may hold any"
    for shard in lost:
        yield f"shard {shard} has no Active copy to start from: bring its node back, or restore it from a backup"


def _uneven(load: Load) -> str:
    if gap(load) <= 1:
        return ""
    carried = ", ".join(f"{count} on {peer}" for peer, count in sorted(load.items()))
    return f"copies stay uneven ({carried}): Active ones are moved only by a rebalance"
