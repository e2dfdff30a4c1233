"""Which peers are to hold each shard's copies: a min-cost flow of copies to peers, by cancelling negative cycles; pure.

The residual graph has the peers as nodes, and an edge for each copy that could move from one peer to another. A
negative cycle is a set of moves that lowers the cost and leaves the load of every peer as it is; a node OUTSIDE, joined
to every peer, makes cycles also of moves that change the load. A placement without a negative cycle has the least cost
(M. Klein, "A primal method for minimal cost flows", 1967).

A step towards the cheapest placement lowers its remaining cost by at least as much as that of any other placement. So
it stays a cheapest one, and planning again after each step ends with one as good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

Ends = dict[int, set[int]]  # shard -> the peers that are to hold it
Load = dict[int, int]  # peer -> copies on it
Move = tuple[int, int, int]  # a copy of the shard, from a peer, to another
_Node = int | None  # a peer, or OUTSIDE
_OUTSIDE = None  # no number, because every number may be a peer id


@dataclass(frozen=True, kw_only=True)
class Copies:
    """One shard: the peers where it is Active, and those where a copy recovers by itself."""

    active: frozenset[int]
    recovering: frozenset[int]


def cheapest_ends(shards: Mapping[int, Copies], peers: frozenset[int], copies: int, *, even_first: bool) -> Ends:
    """Shard -> the `peers` (at least one) that are to hold its `copies`, at the least cost.

    What costs, the dearest first: transfers, Active copies dropped for a recovering one, uneven loads, and copies on
    peers with high ids. With `even_first`, uneven loads are the dearest.
    """
    price = _Price(shards, peers, copies, even_first=even_first)
    load = dict.fromkeys(sorted(peers), 0)
    ends: Ends = {}
    for shard in shards:
        cheapest = sorted(load, key=lambda peer: price.of_copy[shard][peer] + price.of_one_more(load[peer]))
        ends[shard] = set(cheapest[:copies])
        for peer in ends[shard]:
            load[peer] += 1
    while moves := _cheaper_moves(ends, load, price):
        for shard, from_peer, to_peer in moves:
            ends[shard] ^= {from_peer, to_peer}
            load[from_peer] -= 1
            load[to_peer] += 1
    return ends


def gap(load: Load) -> int:
    """How many copies more the fullest peer has than the emptiest one."""
    return max(load.values()) - min(load.values())


class _Price:
    """The costs as integers: one unit of an aim costs more than all that the next aim can add up to."""

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
        """What one more copy adds to the sum of the squares of all loads, which is least when they are most even."""
        return self._uneven * (2 * load + 1)


def _cheaper_moves(ends: Ends, load: Load, price: _Price) -> list[Move]:
    """The moves of a negative cycle; none if there is none."""
    cheapest: dict[tuple[_Node, _Node], tuple[int, Move]] = {}
    for shard, held in ends.items():
        cost = price.of_copy[shard]
        for peer in held:
            for other in load.keys() - held:
                priced = (cost[other] - cost[peer], (shard, peer, other))
                cheapest[peer, other] = min(priced, cheapest.get((peer, other), priced))
    costs = {edge: cost for edge, (cost, _) in cheapest.items()}
    for peer, count in load.items():
        costs[_OUTSIDE, peer] = -price.of_one_more(count - 1)
        costs[peer, _OUTSIDE] = price.of_one_more(count)
    return [cheapest[edge][1] for edge in _negative_cycle(costs) if edge in cheapest]


def _negative_cycle(costs: Mapping[tuple[_Node, _Node], int]) -> Iterator[tuple[_Node, _Node]]:
    """The edges of a cycle with a negative sum of costs, by Bellman and Ford; none if there is none."""
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
    for _ in nodes:  # shorter after as many rounds as nodes: so many steps back lie on the cycle
        node = before[node]
    cycle = [node, before[node]]
    while cycle[-1] != node:
        cycle.append(before[cycle[-1]])
    yield from pairwise(reversed(cycle))
