"""Which peers each shard's copies should stand on: a cheapest flow of copies to peers, by cancelling cycles; pure.

Moving a copy of some shard from one peer to another is an edge between them. Moves pay in cycles, and in chains that
take a copy from one peer and give another one more; a node beyond the peers makes cycles of those too. A placement that
no cycle makes cheaper is a cheapest one (M. Klein, "A primal method for minimal cost flows", 1967), so cancelling them
is all there is to it.

A step towards a cheapest placement makes what is left to it cheaper by as much as for any other, or more: it is still a
cheapest one after that step, and planning again goes on towards as good a one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

Ends = dict[int, set[int]]  # shard -> the peers that are to hold it
Load = dict[int, int]  # peer -> copies on it
Move = tuple[int, int, int]  # a copy of the shard, from a peer, to another
_Node = int | None  # a peer, or beyond them
_BEYOND = None  # no number, which some peer could have


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What there is of one shard: where it serves, and where a copy recovers by itself."""

    active: frozenset[int]
    recovering: frozenset[int]


def cheapest_ends(shards: Mapping[int, Copies], peers: frozenset[int], copies: int, *, even_first: bool) -> Ends:
    """So many `copies` of every shard on distinct `peers`, at the least cost; there is a peer.

    What counts, the most important first: transfers, serving copies given up for one that recovers, uneven peers, and
    copies on peers with high numbers. With `even_first`, uneven peers count before all else.
    """
    price = _Price(shards, peers, copies, even_first=even_first)
    load = dict.fromkeys(sorted(peers), 0)
    ends: Ends = {}
    for shard in shards:
        cheapest = sorted(load, key=lambda peer: price.of_copy[shard][peer] + price.of_one_more(load[peer]))
        ends[shard] = set(cheapest[:copies])
        for peer in ends[shard]:
            load[peer] += 1
    while moves := _moves_that_pay(ends, load, price):
        for shard, from_peer, to_peer in moves:
            ends[shard] ^= {from_peer, to_peer}
            load[from_peer] -= 1
            load[to_peer] += 1
    return ends


def gap(load: Load) -> int:
    """How many copies more the fullest peer has than the emptiest."""
    return max(load.values()) - min(load.values())


class _Price:
    """Whole numbers that weigh one aim against another as their order says: one unit outweighs all of the next."""

    def __init__(self, shards: Mapping[int, Copies], peers: frozenset[int], copies: int, *, even_first: bool) -> None:
        total = copies * len(shards)
        rest = total * len(peers) + 1
        if even_first:
            give_up = rest
            transfer = give_up * (total + 1)
            self._uneven = transfer * (total + 1)
        else:
            self._uneven = rest
            give_up = self._uneven * (total * total + 1)
            transfer = give_up * (total + 1)
        ranked = list(enumerate(sorted(peers)))
        self.of_copy = {  # shard -> peer -> its price there
            shard: {
                peer: rank + (0 if peer in there.active else give_up if peer in there.recovering else transfer)
                for rank, peer in ranked
            }
            for shard, there in shards.items()
        }

    def of_one_more(self, load: int) -> int:
        """The sum of the squares of all loads is least when they are as even as can be; this is what one copy adds."""
        return self._uneven * (2 * load + 1)


def _moves_that_pay(ends: Ends, load: Load, price: _Price) -> list[Move]:
    """Some moves that together make the placement cheaper; none if there are none."""
    cheapest: dict[tuple[_Node, _Node], tuple[int, Move]] = {}
    for shard, held in ends.items():
        cost = price.of_copy[shard]
        for peer in held:
            for other in load.keys() - held:
                priced = (cost[other] - cost[peer], (shard, peer, other))
                cheapest[peer, other] = min(priced, cheapest.get((peer, other), priced))
    costs = {edge: cost for edge, (cost, _) in cheapest.items()}
    for peer, count in load.items():
        costs[_BEYOND, peer] = -price.of_one_more(count - 1)
        costs[peer, _BEYOND] = price.of_one_more(count)
    return [cheapest[edge][1] for edge in _cycle_below_zero(costs) if edge in cheapest]


def _cycle_below_zero(costs: Mapping[tuple[_Node, _Node], int]) -> Iterator[tuple[_Node, _Node]]:
    """The edges of a cycle whose costs add up to less than nothing, by Bellman and Ford; none if there is no such."""
    nodes = {node for edge in costs for node in edge}
    distance, before = dict.fromkeys(nodes, 0), dict[_Node, _Node]()
    nearer: list[_Node] = []
    for _ in nodes:
        nearer = []
        for (node, other), cost in costs.items():
            if distance[node] + cost < distance[other]:
                distance[other], before[other] = distance[node] + cost, node
                nearer.append(other)
        if not nearer:
            return
    node = nearer[-1]
    for _ in nodes:  # still getting nearer after as many rounds as nodes: so far back that it is on the cycle
        node = before[node]
    cycle = [node, before[node]]
    while cycle[-1] != node:
        cycle.append(before[cycle[-1]])
    yield from pairwise(reversed(cycle))
