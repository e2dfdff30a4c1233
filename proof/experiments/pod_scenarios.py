"""The faults that are tried on Kubernetes, and for each what may fail meanwhile: all else must not.

A machine without power, and one whose network is cut, are for whoever has a switch: tests/live/test_8_kubernetes.py has
the sandbox's.
"""

from proof.experiments import faults, pod_faults
from proof.experiments.scenarios import NO_QUORUM, NODE_0, Scenario, no
from proof.traffic.clients import ASK, READ, SEARCH

AT_WORK = "calls that it was at work on die with it"
UNTIL_KNOWN_SECONDS = 5  # until everybody has heard that a pod is gone; its fellows answer then

POD_SCENARIOS = (
    Scenario(
        name="kill-follower",
        title="A follower is killed",
        fault=pod_faults.killed_nodes(faults.follower),
        recovery="node_returns",
    ),
    Scenario(
        name="kill-leader",
        title="The leader is killed",
        fault=pod_faults.killed_nodes(faults.leader),
        recovery="node_returns",
    ),
    Scenario(
        name="drain-machine",
        title="A machine is emptied for work on it, and takes pods again",
        fault=pod_faults.drained_machine,
        recovery="node_returns",
    ),
    Scenario(
        name="two-nodes-down",
        title="Two of three nodes are killed",
        fault=pod_faults.killed_nodes(faults.follower, faults.leader),
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because=NO_QUORUM),
        slow=NO_QUORUM,
    ),
    Scenario(
        name="wipe-follower",
        title="A follower loses its claim and its pod, and is replaced",
        fault=faults.wiped_node(faults.follower),
        recovery="volume_replaced",
    ),
    Scenario(
        name="wipe-node-0",
        title="Node 0, which founded the cluster, loses its claim: it must rejoin, and found no second one",
        fault=faults.wiped_node(NODE_0),
        recovery="volume_replaced",
    ),
    Scenario(
        name="cold-restart",
        title="All nodes are killed",
        fault=pod_faults.all_nodes_killed,
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because="no node is there"),
        slow="no node is there",
    ),
    Scenario(
        name="delete-haproxy",
        title="A balancer's pod is deleted",
        fault=pod_faults.deleted("haproxy"),
        recovery="front_returns",
        may_fail=no(READ, SEARCH, ASK, because=AT_WORK),
        excused_seconds=UNTIL_KNOWN_SECONDS,
        slow=AT_WORK,
    ),
    Scenario(
        name="delete-kong",
        title="A pod of the gateway is deleted",
        fault=pod_faults.deleted("kong"),
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because=AT_WORK),
        excused_seconds=UNTIL_KNOWN_SECONDS,
        slow=AT_WORK,
    ),
    Scenario(
        name="delete-valkey",
        title="The pod that counts calls is deleted",
        fault=pod_faults.deleted("valkey"),
        recovery="front_returns",
    ),
    Scenario(
        name="delete-rag-service",
        title="A pod of the RAG service's API role is deleted",
        fault=pod_faults.deleted("rag-service"),
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because=AT_WORK),
        excused_seconds=UNTIL_KNOWN_SECONDS,
        slow=AT_WORK,
    ),
    Scenario(
        name="delete-rag-query",
        title="A pod of the RAG service's query role is deleted",
        fault=pod_faults.deleted("rag-llamaindex-query"),
        recovery="front_returns",
        may_fail=no(ASK, because=AT_WORK),
        excused_seconds=UNTIL_KNOWN_SECONDS,
    ),
    Scenario(
        name="delete-rag-ingest",
        title="The pod of the RAG service's ingest role is deleted",
        fault=pod_faults.deleted("rag-ingest"),
        recovery="front_returns",
    ),
)
