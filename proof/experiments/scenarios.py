"""The faults that are tried, and for each what may fail meanwhile: all else must not."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from proof.experiments import faults, full_disk
from proof.experiments.faults import Heal
from proof.experiments.transfer_fault import killed_in_a_transfer
from proof.targets.prerequisites import Prerequisites, as_it_stands
from proof.traffic.clients import ASK, READ, SEARCH

ONE_BALANCER = "there is one balancer, and one published port has one owner"
ONE_GATEWAY = "there is one Kong, and one published port has one owner"
NO_QUORUM = "shards whose copies are all away cannot answer; writers go on trying"


def no(*streams: str, because: str) -> Mapping[str, str]:
    """These may fail while the fault lasts and until all is whole again."""
    return dict.fromkeys(streams, because)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One fault. Streams not in `may_fail` must not fail at all; latency is judged unless `slow` says why it is not.

    What may fail may until all is whole, or for `excused_seconds` where others take over.
    """

    name: str
    title: str
    fault: Callable[[Any], Heal]  # of the kind of stack that it is for
    recovery: Literal["node_returns", "volume_replaced", "front_returns"]
    away_seconds: float = 14
    prerequisites: Prerequisites = as_it_stands
    may_fail: Mapping[str, str] = field(default_factory=dict)
    excused_seconds: float = math.inf
    slow: str = ""


NODE_0: Callable[[object], int] = lambda _: 0  # noqa: E731  a choice, as the others are

SCENARIOS = (
    Scenario(
        name="kill-follower",
        title="A follower is killed",
        fault=faults.killed_node(faults.follower),
        recovery="node_returns",
    ),
    Scenario(
        name="kill-leader",
        title="The leader is killed",
        fault=faults.killed_node(faults.leader),
        recovery="node_returns",
    ),
    Scenario(
        name="freeze-node",
        title="A node freezes: connections stay open, nothing is answered",
        fault=faults.frozen_node(faults.follower),
        recovery="node_returns",
    ),
    Scenario(
        name="cut-off-node",
        title="A node is cut off the network, and comes back",
        fault=faults.cut_off_node(faults.follower),
        recovery="node_returns",
    ),
    Scenario(
        name="fill-disk",
        title="A node's disk fills up",
        prerequisites=full_disk.small_disk,
        fault=full_disk.fill,
        recovery="node_returns",
        slow="the others go on sending the node its copies, which do not fit",
    ),
    Scenario(
        name="two-nodes-down",
        title="Two of three nodes are killed",
        fault=faults.two_nodes_killed,
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because=NO_QUORUM),
        slow=NO_QUORUM,
    ),
    Scenario(
        name="wipe-follower",
        title="A follower loses its disk, and is replaced",
        fault=faults.wiped_node(faults.follower),
        recovery="volume_replaced",
    ),
    Scenario(
        name="wipe-node-0",
        title="Node 0, which founded the cluster, loses its disk: it must rejoin, and found no second one",
        fault=faults.wiped_node(NODE_0),
        recovery="volume_replaced",
    ),
    Scenario(
        name="cold-restart",
        title="All nodes are killed, and started in an order that nobody planned",
        fault=faults.all_nodes_killed,
        away_seconds=3,
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because="no node is there"),
        slow="no node is there",
    ),
    Scenario(
        name="kill-in-transfer",
        title="A node is killed while a shard is on its way to it",
        fault=killed_in_a_transfer,
        recovery="node_returns",
    ),
    Scenario(
        name="kill-haproxy",
        title="The balancer is killed",
        fault=faults.killed("haproxy-0"),
        away_seconds=5,
        recovery="front_returns",
        may_fail=no(READ, SEARCH, ASK, because=ONE_BALANCER),
        slow=ONE_BALANCER,
    ),
    Scenario(
        name="kill-kong",
        title="The gateway is killed",
        fault=faults.killed("kong-0"),
        away_seconds=5,
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because=ONE_GATEWAY),
        slow=ONE_GATEWAY,
    ),
    Scenario(
        name="kill-postgres",
        title="The gateway's database is killed",
        fault=faults.killed("postgres-0"),
        recovery="front_returns",
    ),
    Scenario(
        name="kill-rag-service",
        title="A replica of the RAG service's API role is killed",
        fault=faults.killed("rag-service-0"),
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because="calls that it was at work on die with it"),
        slow="calls that it was at work on die with it",
    ),
    Scenario(
        name="kill-rag-query",
        title="The RAG service's query role is killed",
        fault=faults.killed("rag-llamaindex-query-0"),
        recovery="front_returns",
        may_fail=no(ASK, because="calls that it was at work on die with it"),
    ),
    Scenario(
        name="kill-rag-ingest",
        title="The RAG service's ingest role is killed",
        fault=faults.killed("rag-ingest-0"),
        recovery="front_returns",
    ),
)


def named(*names: str, among: Sequence[Scenario] = SCENARIOS) -> tuple[Scenario, ...]:
    """The scenarios of these names, in the order in which they are run; all of them for none. ValueError else."""
    if unknown := sorted(set(names) - {scenario.name for scenario in among}):
        known = ", ".join(scenario.name for scenario in among)
        raise ValueError(f"expected scenarios out of {known}; found {', '.join(unknown)}")
    return tuple(scenario for scenario in among if not names or scenario.name in names)
