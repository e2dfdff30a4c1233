"""The gate between two nodes opens for a cluster that stays settled, and gives the node its traffic back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from qdrant_admin.settling import wait_until_settled
from tests.unit.fake_qdrant import KEY, Collection, FakeCluster, running_cluster
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, served

OPERATOR = "Basic b3BlcmF0b3I6c2VjcmV0"  # operator:secret
STATISTICS = "# pxname,svname,scur,status\n" + "".join(
    f"{backend},qdrant-{node},0,MAINT\n" for backend in ("qdrant_http", "qdrant_grpc") for node in range(3)
)

DEAD = Collection(params={}, replicas={0: {11: "Active", 12: "Dead"}})


@dataclass
class FakeBalancer:
    """HAProxy's statistics page, which answers every action with a redirect."""

    url: str = ""
    actions: set[str] = field(default_factory=set)

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != OPERATOR:
            return Answer(401, "<h1>401 Unauthorized</h1>")
        if asked.method == "GET":
            return Answer(200, STATISTICS)
        self.actions.add(asked.body.decode())
        return Answer(303, "", {"location": "/stats;st=DONE"})


@pytest.fixture
def balancer() -> Iterator[FakeBalancer]:
    balancer = FakeBalancer()
    with served(balancer.answer) as balancer.url:
        yield balancer


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with running_cluster() as cluster:
        cluster.add()
        yield cluster


def gate(cluster: FakeCluster, balancer: FakeBalancer, ordinal: int = 2, **changes: Any) -> dict[str, Any]:
    """The inputs of a ClusterSettled that does not wait."""
    return {
        "ordinal": ordinal,
        "node_urls": cluster.urls,
        "api_key": KEY,
        "balancer": {"url": balancer.url, "user": "operator", "password": "secret", "prefix": "qdrant-"},
        "timeout_seconds": 0,
    } | changes


def settle(gate: dict[str, Any], **how: Any) -> None:
    wait_until_settled(gate, clock=FakeTime().clock, **how)


def test_three_settled_observations_in_a_row_open_the_gate_and_give_the_node_its_traffic(
    cluster: FakeCluster, balancer: FakeBalancer
) -> None:
    settle(gate(cluster, balancer, ordinal=1), first_start=False)
    assert cluster.looks == {0: 3, 1: 3, 2: 3}
    assert balancer.actions == {f"s=qdrant-1&action=ready&b={backend}" for backend in ("qdrant_http", "qdrant_grpc")}


@pytest.mark.parametrize(("flaps", "looks"), [({3}, 6), ({1, 3, 5}, 8)])
def test_a_flap_starts_the_count_again(
    cluster: FakeCluster, balancer: FakeBalancer, flaps: set[int], looks: int
) -> None:
    cluster.unsettled_looks = flaps
    settle(gate(cluster, balancer, timeout_seconds=30), first_start=False)
    assert cluster.looks[0] == looks


def test_one_observation_would_miss_the_flap(cluster: FakeCluster, balancer: FakeBalancer) -> None:
    cluster.unsettled_looks = {3}
    settle(gate(cluster, balancer), first_start=False, observations=1)
    assert cluster.looks[0] == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"raft": {1: {"is_voter": False}}}, "is not a voter yet"),
        ({"raft": {1: {"commit": 41}}}, "do not agree on the commit"),
        ({"down": {1}}, "does not answer"),
        ({"collections": {"docs": DEAD}}, "docs: shard 0 is Dead on peer 12"),
    ],
)
def test_a_cluster_that_does_not_settle_is_reported_with_its_reasons_and_its_node_gets_no_traffic(
    cluster: FakeCluster, balancer: FakeBalancer, spoil: dict[str, Any], reason: str
) -> None:
    for fact, value in spoil.items():
        setattr(cluster, fact, value)
    with pytest.raises(TimeoutError, match=reason) as timeout:
        settle(gate(cluster, balancer), first_start=False)
    assert "look at the nodes' logs, then run the same command again" in str(timeout.value)
    assert balancer.actions == set()


@pytest.mark.parametrize(("ordinal", "asked"), [(0, {0: 3, 1: 0, 2: 0}), (1, {0: 3, 1: 3, 2: 0})])
def test_at_its_first_start_a_node_does_not_wait_for_nodes_behind_it(
    cluster: FakeCluster, balancer: FakeBalancer, ordinal: int, asked: dict[int, int]
) -> None:
    cluster.joined = ordinal + 1
    settle(gate(cluster, balancer, ordinal), first_start=True)
    assert cluster.looks == asked


@pytest.mark.parametrize("ordinal", [1, 2])
@pytest.mark.parametrize("silent", [True, False])
def test_at_its_first_start_a_node_must_have_joined(
    cluster: FakeCluster, balancer: FakeBalancer, ordinal: int, silent: bool
) -> None:
    cluster.joined = ordinal
    cluster.down = {ordinal} if silent else set()
    with pytest.raises(TimeoutError):
        settle(gate(cluster, balancer, ordinal), first_start=True)


def test_a_replaced_node_waits_for_all_that_ever_joined_and_for_no_others(
    cluster: FakeCluster, balancer: FakeBalancer
) -> None:
    cluster.joined, cluster.down = 2, {2}
    settle(gate(cluster, balancer, ordinal=0), first_start=False)
    cluster.down = {1, 2}
    with pytest.raises(TimeoutError, match=cluster.urls[1]):
        settle(gate(cluster, balancer, ordinal=0), first_start=False)


def test_a_balancer_that_is_not_started_yet_is_skipped(cluster: FakeCluster) -> None:
    with served(FakeBalancer().answer) as url:
        pass
    settle(gate(cluster, FakeBalancer(url=url)), first_start=False)


def test_a_balancer_that_refuses_is_an_error(cluster: FakeCluster, balancer: FakeBalancer) -> None:
    closed = gate(cluster, balancer)
    closed["balancer"]["password"] = "wrong"
    with pytest.raises(RuntimeError, match="check its stats password"):
        settle(closed, first_start=False)
