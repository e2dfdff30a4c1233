"""The faults that `make chaos STACK=prod` makes on Kubernetes, and for each what may fail meanwhile: all else must not.

A machine without power or without network takes a switch: tests/live/test_8_kubernetes.py uses the sandbox's.
"""

from proof.experiments.experiment import Experiment, may_fail
from proof.experiments.faults import follower, leader, node_0, wiped_node
from proof.experiments.pod_faults import all_nodes_killed, deleted, drained_machine, killed_nodes
from proof.experiments.scenarios import IN_FLIGHT, NO_QUORUM
from proof.targets.kubernetes_target import KubernetesTarget
from proof.traffic.clients import ASK, READ, SEARCH

TAKEOVER_SECONDS = 5  # until every caller knows that a pod is gone; its peers answer then

# fmt: off
POD_SCENARIOS: tuple[Experiment[KubernetesTarget], ...] = (
    Experiment("kill-follower", "A follower is killed", killed_nodes(follower), recovery="node_returns"),
    Experiment("kill-leader", "The leader is killed", killed_nodes(leader), recovery="node_returns"),
    Experiment("drain-machine", "A machine is emptied for work on it, and takes pods again", drained_machine,
               recovery="node_returns"),
    Experiment("two-nodes-down", "Two of three nodes are killed", killed_nodes(follower, leader),
               recovery="node_returns", may_fail=may_fail(READ, SEARCH, ASK, because=NO_QUORUM), slow=NO_QUORUM),
    Experiment("wipe-follower", "A follower loses its claim and its pod, and is replaced", wiped_node(follower),
               recovery="volume_replaced"),
    Experiment("wipe-node-0",
               "Node 0, which founded the cluster, loses its claim: it must rejoin, and found no second one",
               wiped_node(node_0), recovery="volume_replaced"),
    Experiment("cold-restart", "All nodes are killed", all_nodes_killed,
               recovery="node_returns", may_fail=may_fail(READ, SEARCH, ASK, because="no node is there"),
               slow="no node is there"),
    Experiment("delete-haproxy", "A balancer's pod is deleted", deleted("haproxy"),
               recovery="front_returns", may_fail=may_fail(READ, SEARCH, ASK, because=IN_FLIGHT),
               excused_seconds=TAKEOVER_SECONDS, slow=IN_FLIGHT),
    Experiment("delete-kong", "A pod of the gateway is deleted", deleted("kong"),
               recovery="front_returns", may_fail=may_fail(SEARCH, ASK, because=IN_FLIGHT),
               excused_seconds=TAKEOVER_SECONDS, slow=IN_FLIGHT),
    Experiment("delete-valkey", "The pod that counts calls is deleted", deleted("valkey"), recovery="front_returns"),
    Experiment("delete-rag-service", "A pod of the RAG service's API role is deleted", deleted("rag-service"),
               recovery="front_returns", may_fail=may_fail(SEARCH, ASK, because=IN_FLIGHT),
               excused_seconds=TAKEOVER_SECONDS, slow=IN_FLIGHT),
    Experiment("delete-rag-query", "A pod of the RAG service's query role is deleted",
               deleted("rag-llamaindex-query"),
               recovery="front_returns", may_fail=may_fail(ASK, because=IN_FLIGHT), excused_seconds=TAKEOVER_SECONDS),
    Experiment("delete-rag-ingest", "The pod of the RAG service's ingest role is deleted", deleted("rag-ingest"),
               recovery="front_returns"),
)
# fmt: on
