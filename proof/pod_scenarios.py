"""The faults that are tried on Kubernetes, and for each what may fail meanwhile: all else must not.

A machine without power, and one whose network is cut, are for whoever has a switch: tests/live/test_8_kubernetes.py has
the sandbox's.
"""

from proof import faults, pod_faults
from proof.clients import ASK, READ, SEARCH
from proof.scenarios import NO_QUORUM, Scenario, no

AT_WORK = "calls that it was at work on die with it"

POD_SCENARIOS = (
    Scenario(
        name="kill-follower",
        title="A follower's pod is killed",
        fault=pod_faults.killed_nodes(faults.follower),
        recovery="node_returns",
    ),
    Scenario(
        name="kill-leader",
        title="The leader's pod is killed",
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
        title="The pods of two of three nodes are killed",
        fault=pod_faults.killed_nodes(faults.follower, faults.leader),
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because=NO_QUORUM),
        slow=NO_QUORUM,
    ),
    Scenario(
        name="cold-restart",
        title="All pods of Qdrant are killed",
        fault=pod_faults.all_nodes_killed,
        recovery="node_returns",
        may_fail=no(READ, SEARCH, ASK, because="no node is there"),
        slow="no node is there",
    ),
    Scenario(
        name="kill-haproxy",
        title="A balancer's pod is killed",
        fault=pod_faults.killed("haproxy"),
        recovery="front_returns",
        may_fail=no(READ, SEARCH, ASK, because=AT_WORK),
        slow=AT_WORK,
    ),
    Scenario(
        name="kill-kong",
        title="A pod of the gateway is killed",
        fault=pod_faults.killed("kong"),
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because=AT_WORK),
        slow=AT_WORK,
    ),
    Scenario(
        name="kill-valkey",
        title="The pod that counts calls is killed",
        fault=pod_faults.killed("valkey"),
        recovery="front_returns",
    ),
    Scenario(
        name="kill-rag-service",
        title="A pod of the RAG service's API role is killed",
        fault=pod_faults.killed("rag-service"),
        recovery="front_returns",
        may_fail=no(SEARCH, ASK, because=AT_WORK),
        slow=AT_WORK,
    ),
    Scenario(
        name="kill-rag-query",
        title="A pod of the RAG service's query role is killed",
        fault=pod_faults.killed("rag-llamaindex-query"),
        recovery="front_returns",
        may_fail=no(ASK, because=AT_WORK),
    ),
    Scenario(
        name="kill-rag-ingest",
        title="The pod of the RAG service's ingest role is killed",
        fault=pod_faults.killed("rag-ingest"),
        recovery="front_returns",
    ),
)
