"""The faults that `make chaos` makes on Docker, and for each what may fail meanwhile: all else must not."""

from proof.experiments import full_disk
from proof.experiments.experiment import Experiment, may_fail
from proof.experiments.faults import (
    all_nodes_killed,
    counted_together,
    cut_off_node,
    follower,
    frozen,
    frozen_node,
    killed,
    killed_nodes,
    leader,
    node_0,
    wiped_node,
)
from proof.experiments.transfer_fault import killed_in_a_transfer
from proof.targets.docker_target import DockerTarget
from proof.traffic.clients import ASK, READ, SEARCH

ONE_BALANCER = "there is one balancer, and one published port has one owner"
ONE_GATEWAY = "there is one Kong, and one published port has one owner"
NO_QUORUM = "shards whose copies are all away cannot answer; writers go on trying"
IN_FLIGHT = "calls in flight at the replica die with it"

# fmt: off
SCENARIOS: tuple[Experiment[DockerTarget], ...] = (
    Experiment("kill-follower", "A follower is killed", killed_nodes(follower), recovery="node_returns"),
    Experiment("kill-leader", "The leader is killed", killed_nodes(leader), recovery="node_returns"),
    Experiment("freeze-node", "A node freezes: connections stay open, nothing is answered", frozen_node(follower),
               recovery="node_returns"),
    Experiment("cut-off-node", "A node is cut off the network, and comes back", cut_off_node(follower),
               recovery="node_returns"),
    Experiment("fill-disk", "A node's disk fills up", full_disk.fill,
               prerequisites=full_disk.small_disk, recovery="node_returns",
               slow="the others go on sending the node its copies, which do not fit"),
    Experiment("two-nodes-down", "Two of three nodes are killed", killed_nodes(follower, leader),
               recovery="node_returns", may_fail=may_fail(READ, SEARCH, ASK, because=NO_QUORUM), slow=NO_QUORUM),
    Experiment("wipe-follower", "A follower loses its disk, and is replaced", wiped_node(follower),
               recovery="volume_replaced"),
    Experiment("wipe-node-0",
               "Node 0, which founded the cluster, loses its disk: it must rejoin, and found no second one",
               wiped_node(node_0), recovery="volume_replaced"),
    Experiment("cold-restart", "All nodes are killed, and started in a random order", all_nodes_killed,
               lasts_seconds=3, recovery="node_returns",
               may_fail=may_fail(READ, SEARCH, ASK, because="no node is there"), slow="no node is there"),
    Experiment("kill-in-transfer", "A node is killed while a shard is on its way to it", killed_in_a_transfer,
               recovery="node_returns"),
    Experiment("kill-haproxy", "The balancer is killed", killed("haproxy-0"),
               lasts_seconds=5, recovery="front_returns", may_fail=may_fail(READ, SEARCH, ASK, because=ONE_BALANCER),
               slow=ONE_BALANCER),
    Experiment("kill-kong", "The gateway is killed", killed("kong-0"),
               lasts_seconds=5, recovery="front_returns", may_fail=may_fail(SEARCH, ASK, because=ONE_GATEWAY),
               slow=ONE_GATEWAY),
    Experiment("kill-postgres", "The gateway's database is killed", killed("postgres-0"), recovery="front_returns"),
    Experiment("freeze-valkey", "What counts calls freezes: its connections stay open, nothing is answered",
               frozen("valkey-0"), prerequisites=counted_together, recovery="front_returns"),
    Experiment("kill-rag-service", "A replica of the RAG service's API role is killed", killed("rag-service-0"),
               recovery="front_returns", may_fail=may_fail(SEARCH, ASK, because=IN_FLIGHT), slow=IN_FLIGHT),
    Experiment("kill-rag-query", "The RAG service's query role is killed", killed("rag-llamaindex-query-0"),
               recovery="front_returns", may_fail=may_fail(ASK, because=IN_FLIGHT)),
    Experiment("kill-rag-ingest", "The RAG service's ingest role is killed", killed("rag-ingest-0"),
               recovery="front_returns"),
)
# fmt: on
