"""How long the planner takes for a large cluster that has just lost a node: `python -m tests.bench.replica_plan`."""

import random
import statistics
import time

from qdrant_admin.placement.plan import Placed, PlacementSpec, plan_replicas

COLLECTIONS, SHARDS, PEERS, FACTOR = 100, 12, 9, 3


def main() -> None:
    """Print the median of 9 runs, repairing after a lost peer and rebalancing after three new ones."""
    numbers = random.Random(1)
    members = frozenset(range(PEERS))
    cases = {
        "a peer is lost": ([_placed(numbers, PEERS) for _ in range(COLLECTIONS)], members - {0}, False),
        "3 of the peers are new": ([_placed(numbers, PEERS - 3) for _ in range(COLLECTIONS)], members, True),
    }
    for what, (collections, peers, rebalance) in cases.items():
        seconds = []
        for _ in range(9):
            began = time.process_time()
            steps = sum(
                len(plan_replicas(placed, PlacementSpec(factor=FACTOR, peers=peers, rebalance=rebalance)).steps)
                for placed in collections
            )
            seconds.append(time.process_time() - began)
        scale = f"{COLLECTIONS} collections × {SHARDS} shards × {PEERS} peers"
        print(f"{scale}, {what}: {steps} steps in {statistics.median(seconds) * 1000:.1f} ms of CPU (median of 9)")


def _placed(numbers: random.Random, peers: int) -> Placed:
    return {shard: dict.fromkeys(numbers.sample(range(peers), FACTOR), "Active") for shard in range(SHARDS)}


if __name__ == "__main__":
    main()
