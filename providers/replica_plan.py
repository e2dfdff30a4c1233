"""Which replicas to make and which to drop, in which order, so that every shard has its copies; pure.

What is chosen is a semi-matching: every shard wants so many peers, and no peer should carry more than it must. A
placement that no chain of swaps can level any further is a best one, so levelling by such chains is all there is to it.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

Placed = Mapping[int, Mapping[int, str]]  # shard -> peer -> state
Load = dict[int, int]  # peer -> replicas of this collection


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """Copy a shard from a peer where it is Active to one that has none."""

    shard: int
    from_peer: int
    to_peer: int


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Give up the replica of a shard on a peer."""

    shard: int
    peer: int


Step = Replicate | Drop


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How many copies each shard should have, and where they may stand.

    `peers` are the members of the cluster, `leaving` those of them to be emptied. `stuck` are replicas (shard, peer)
    that do not recover by themselves; every other one that is not Active is left to Qdrant, which brings it back. With
    `rebalance`, sound replicas move as well until no peer holds two more than another.
    """

    factor: int
    peers: frozenset[int]
    leaving: frozenset[int] = frozenset()
    stuck: frozenset[tuple[int, int]] = frozenset()
    rebalance: bool = False
    carried: Mapping[int, int] = field(default_factory=dict)  # replicas of other collections: they break ties

    @cached_property
    def eligible(self) -> frozenset[int]:
        return self.peers - self.leaving

    @cached_property
    def copies(self) -> int:
        return min(self.factor, len(self.eligible))


@dataclass(frozen=True, kw_only=True)
class ReplicaPlan:
    """Steps in order, and what they do not lead to.

    `waiting` goes by itself: copies that may go only when another one has recovered; plan again then. `unmet` does not.
    """

    steps: tuple[Step, ...]
    waiting: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    uneven: str = ""


@dataclass(kw_only=True)
class _Choice:
    """What becomes of one shard: `fixed` peers keep it, and of `options` as many as are `chosen` have it as well."""

    sound: frozenset[int]
    active: frozenset[int]
    lost: frozenset[int]
    fixed: set[int]
    options: frozenset[int]
    chosen: set[int] = field(default_factory=set)

    @property
    def surplus(self) -> list[int]:
        """Serving copies to give up."""
        return sorted(self.active - self.final)

    @property
    def spare(self) -> int:
        """How many of them may go before a copy that still recovers serves in their place."""
        serving = len(self.active | (self.final - self.sound))
        return max(0, serving - max(1, min(len(self.active), len(self.final))))

    @property
    def final(self) -> set[int]:
        return self.fixed | self.chosen

    def move(self, from_peer: int, to_peer: int) -> None:
        self.fixed.discard(from_peer)
        self.chosen.discard(from_peer)
        self.chosen.add(to_peer)


def plan_replicas(placed: Placed, wanted: Wanted) -> ReplicaPlan:
    """The fewest transfers that give every shard its copies on distinct peers, the most endangered shard first.

    No step leaves a shard with fewer Active copies than it had or should have, whichever is less.
    """
    choices = {shard: _choice(shard, replicas, wanted) for shard, replicas in sorted(placed.items())}
    lost = [shard for shard, choice in choices.items() if not choice.active]
    for shard in lost:
        del choices[shard]
    load = _spread(choices, wanted)
    while chain := _chain_that_levels(choices, load):
        _swap_along(chain, choices, load)
    if wanted.rebalance:
        _move_until_even(choices, load)
    changed = [shard for shard, choice in choices.items() if choice.lost or choice.final != choice.sound]
    by_danger = sorted(changed, key=lambda shard: (len(choices[shard].active), shard))
    return ReplicaPlan(
        steps=tuple(step for shard in by_danger for step in _steps(shard, choices[shard])),
        waiting=tuple(text for shard in by_danger for text in _waiting(shard, choices[shard])),
        unmet=tuple(_unmet(lost, wanted)),
        uneven=_uneven(load),
    )


def _choice(shard: int, replicas: Mapping[int, str], wanted: Wanted) -> _Choice:
    stuck = {peer for peer, state in replicas.items() if state != "Active" and (shard, peer) in wanted.stuck}
    lost = frozenset(stuck | (replicas.keys() - wanted.peers))
    sound = frozenset(replicas) - lost
    active = frozenset(peer for peer in sound if replicas[peer] == "Active")
    staying = sound & wanted.eligible
    if len(staying) <= wanted.copies:
        fixed, options = staying, wanted.eligible - staying
    elif len(active & staying) >= wanted.copies:  # a copy that still recovers is given up before one that serves
        fixed, options = frozenset(), active & staying
    else:
        fixed, options = active & staying, staying - active
    return _Choice(sound=sound, active=active, lost=lost, fixed=set(fixed), options=options)


def _spread(choices: Mapping[int, _Choice], wanted: Wanted) -> Load:
    """Choose for each shard the peers that carry least so far; returns what each peer carries then."""
    load = dict.fromkeys(wanted.eligible, 0)
    for choice in choices.values():
        for peer in choice.fixed:
            load[peer] += 1
    for choice in choices.values():
        least = sorted(choice.options, key=lambda peer: (load[peer], wanted.carried.get(peer, 0), peer))
        choice.chosen = set(least[: wanted.copies - len(choice.fixed)])
        for peer in choice.chosen:
            load[peer] += 1
    return load


def _chain_that_levels(choices: Mapping[int, _Choice], load: Load) -> list[tuple[int, int, int]]:
    """Swaps (shard, from, to), each beginning where the one before it ended, from a peer to one with two fewer."""
    if _gap(load) <= 1:
        return []
    swaps: dict[int, dict[int, int]] = {peer: {} for peer in load}
    for shard, choice in choices.items():
        for peer in choice.chosen:
            for other in choice.options - choice.chosen:
                swaps[peer].setdefault(other, shard)
    for heavy in sorted(load, key=lambda peer: -load[peer]):
        came_from = _reachable(heavy, swaps)
        light = min(came_from, key=lambda peer: (load[peer], peer))
        if load[heavy] - load[light] >= 2:
            return _chain(heavy, light, came_from, swaps)
    return []


def _reachable(start: int, swaps: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Every peer that a chain of swaps leads to, and the one before it on a shortest chain."""
    came_from, queue = {start: start}, deque([start])
    while queue:
        peer = queue.popleft()
        for other in swaps[peer]:
            if other not in came_from:
                came_from[other] = peer
                queue.append(other)
    return came_from


def _chain(
    start: int, end: int, came_from: Mapping[int, int], swaps: Mapping[int, Mapping[int, int]]
) -> list[tuple[int, int, int]]:
    chain: list[tuple[int, int, int]] = []
    while end != start:
        before = came_from[end]
        chain.insert(0, (swaps[before][end], before, end))
        end = before
    return chain


def _swap_along(chain: list[tuple[int, int, int]], choices: Mapping[int, _Choice], load: Load) -> None:
    for shard, from_peer, to_peer in chain:
        choices[shard].move(from_peer, to_peer)
    load[chain[0][1]] -= 1
    load[chain[-1][2]] += 1


def _move_until_even(choices: Mapping[int, _Choice], load: Load) -> None:
    """A peer with two more than another has a shard that the other lacks: each move is one transfer."""
    while load and _gap(load) > 1:
        heavy = max(load, key=lambda peer: (load[peer], -peer))
        light = min(load, key=lambda peer: (load[peer], peer))
        movable = (choice for choice in choices.values() if heavy in choice.final and light not in choice.final)
        min(movable, key=lambda choice: heavy in choice.sound).move(heavy, light)
        load[heavy] -= 1
        load[light] += 1


def _steps(shard: int, choice: _Choice) -> Iterator[Step]:
    """What is lost makes room, what is new is copied, and only then goes what is too much."""
    for peer in sorted(choice.lost):
        yield Drop(shard=shard, peer=peer)
    source = min(choice.active - choice.final or choice.active)  # a peer that is left anyway serves nobody for long
    for peer in sorted(choice.final - choice.sound):
        yield Replicate(shard=shard, from_peer=source, to_peer=peer)
    recovering = sorted(choice.sound - choice.active - choice.final)
    for peer in [*recovering, *choice.surplus[: choice.spare]]:
        yield Drop(shard=shard, peer=peer)


def _waiting(shard: int, choice: _Choice) -> Iterator[str]:
    for peer in choice.surplus[choice.spare :]:
        recovering = ", ".join(map(str, sorted((choice.sound & choice.final) - choice.active)))
        yield f"shard {shard} leaves peer {peer} when its copy on {recovering} has recovered"


def _unmet(lost: list[int], wanted: Wanted) -> Iterator[str]:
    if len(wanted.eligible) < wanted.factor:
        yield f"{wanted.factor} copies need as many peers, and only {len(wanted.eligible)} may hold any"
    for shard in lost:
        yield f"shard {shard} has no Active copy to start from: bring its node back, or restore it from a backup"


def _gap(load: Load) -> int:
    return max(load.values()) - min(load.values()) if load else 0


def _uneven(load: Load) -> str:
    if _gap(load) <= 1:
        return ""
    carried = ", ".join(f"{count} on {peer}" for peer, count in sorted(load.items()))
    return f"copies stay uneven ({carried}): sound ones are not moved unless asked to"
