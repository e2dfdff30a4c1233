"""The planner's promises, over generated clusters; each step is followed on a model of the cluster."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qdrant_admin.placement.plan import Drop, Placed, PlacementSpec, ReplicaPlan, Replicate, Step, plan_replicas

STATES = ["Active", "Active", "Active", "Dead", "Partial", "Initializing"]
Cluster = dict[int, dict[int, str]]
Case = tuple[Placed, PlacementSpec]


@st.composite
def clusters(draw: st.DrawFn, peers: int = 6, shards: int = 6) -> Case:
    """Replicas anywhere in any state, on members, leaving peers and peers that are no members any more."""
    known = draw(st.integers(1, peers))
    members = frozenset(range(1, known + 1))
    state = st.sampled_from(STATES)
    placed = draw(
        st.dictionaries(
            st.integers(0, shards - 1), st.dictionaries(st.integers(1, known + 1), state, min_size=1), max_size=shards
        )
    )
    replicas = [(shard, peer) for shard, on in placed.items() for peer in on]
    wanted = PlacementSpec(
        factor=draw(st.integers(1, 4)),
        peers=members,
        leaving=frozenset(draw(st.sets(st.sampled_from(sorted(members)), max_size=known))),
        stuck=frozenset(draw(st.sets(st.sampled_from(replicas), max_size=3)) if replicas else ()),
        rebalance=draw(st.booleans()),
    )
    return placed, wanted


def follow(placed: Placed, steps: tuple[Step, ...]) -> Iterator[Cluster]:
    """The cluster after each step, as Qdrant would have it: refuses what Qdrant refuses."""
    cluster = {shard: dict(on) for shard, on in placed.items()}
    yield cluster
    for step in steps:
        on = cluster[step.shard]
        if isinstance(step, Replicate):
            assert on.get(step.from_peer) == "Active", f"{step}: nothing to copy from in {on}"
            assert step.to_peer not in on, f"{step}: two replicas of a shard on one peer"
            on[step.to_peer] = "Active"
        else:
            del on[step.peer]
        yield {shard: dict(on) for shard, on in cluster.items()}


def settle(placed: Placed, wanted: PlacementSpec) -> Cluster:
    """The cluster after planning until no step is left, while Qdrant recovers what recovers by itself."""
    for _ in range(3):
        *_, placed = follow(placed, plan_replicas(placed, wanted).steps)
        gone = placed.keys() - to_place(placed, wanted)
        placed = {n: on if n in gone else dict.fromkeys(on, "Active") for n, on in placed.items()}
    assert not (last := plan_replicas(placed, wanted)).steps + last.waiting
    return {shard: dict(on) for shard, on in placed.items()}


def active(on: dict[int, str]) -> int:
    return sum(state == "Active" for state in on.values())


def with_a_source(placed: Placed, wanted: PlacementSpec) -> set[int]:
    return {n for n, on in placed.items() if any(p in wanted.peers and s == "Active" for p, s in on.items())}


def to_place(placed: Placed, wanted: PlacementSpec) -> set[int]:
    return with_a_source(placed, wanted) if wanted.eligible else set()


def transfers(plan: ReplicaPlan) -> int:
    return sum(isinstance(step, Replicate) for step in plan.steps)


def load_of(cluster: Cluster, wanted: PlacementSpec, shards: set[int]) -> Counter[int]:
    load = Counter(dict.fromkeys(wanted.eligible, 0))
    load.update(peer for shard in shards for peer in cluster[shard] if peer in wanted.eligible)
    return load


@given(clusters())
def test_no_step_leaves_a_shard_with_fewer_active_copies_than_it_had_or_should_have(
    case: Case,
) -> None:
    placed, wanted = case
    plan = plan_replicas(placed, wanted)
    start = {
        shard: sum(state == "Active" and peer in wanted.peers for peer, state in on.items())
        for shard, on in placed.items()
    }
    for cluster in follow(placed, plan.steps):
        for shard in with_a_source(placed, wanted):
            assert active(cluster[shard]) >= max(1, min(start[shard], wanted.copies))


@given(clusters())
def test_every_shard_that_can_be_copied_ends_with_its_copies_where_they_may_stand(
    case: Case,
) -> None:
    placed, wanted = case
    end = settle(placed, wanted)
    for shard, on in end.items():
        if shard in to_place(placed, wanted):
            assert set(on) <= wanted.eligible
            assert len(on) == wanted.copies
        else:
            assert on == placed[shard], "nothing is touched where nothing can be copied"


@given(clusters())
def test_what_cannot_be_reached_is_reported(case: Case) -> None:
    placed, wanted = case
    plan = plan_replicas(placed, wanted)
    hopeless = len(placed) - len(with_a_source(placed, wanted))
    assert len(plan.unmet) == hopeless + (wanted.copies < wanted.factor)


@given(clusters())
def test_a_cluster_placed_as_specified_is_left_alone(case: Case) -> None:
    placed, wanted = case
    assert plan_replicas(settle(placed, wanted), wanted).steps == ()


@given(clusters())
def test_loads_end_even_after_a_rebalance_and_are_else_reported_as_uneven(case: Case) -> None:
    placed, wanted = case
    plan, end = plan_replicas(placed, wanted), settle(placed, wanted)
    load = load_of(end, wanted, to_place(placed, wanted)).values()
    even = max(load, default=0) - min(load, default=0) <= 1
    assert even or (plan.uneven and not wanted.rebalance)
    assert even is not bool(plan.uneven)


@given(clusters(peers=4, shards=3))
@example(({0: {1: "Active"}, 1: {2: "Active"}}, PlacementSpec(factor=2, peers=frozenset({1, 2, 3}))))
def test_no_plan_with_as_few_transfers_is_more_even_and_no_even_one_has_fewer(
    case: Case,
) -> None:
    """Against every placement there is."""
    placed, wanted = case
    shards = to_place(placed, wanted)
    end = settle(placed, wanted)
    sound = {shard: _sound(shard, placed[shard], wanted) for shard in shards}
    best = min(
        (_cost(dict(zip(shards, ends, strict=True)), sound, placed, wanted))
        for ends in product(list(combinations(sorted(wanted.eligible), wanted.copies)), repeat=len(shards))
    )
    assert _cost({shard: tuple(end[shard]) for shard in shards}, sound, placed, wanted) == best


def _sound(shard: int, on: Mapping[int, str], wanted: PlacementSpec) -> set[int]:
    return {p for p, s in on.items() if p in wanted.peers and (s == "Active" or (shard, p) not in wanted.stuck)}


def _cost(
    ends: dict[int, tuple[int, ...]], sound: dict[int, set[int]], placed: Placed, wanted: PlacementSpec
) -> list[int]:
    """What matters, most important first: even (if asked for), transfers, serving copies given up, unevenness."""
    load = Counter(dict.fromkeys(wanted.eligible, 0))
    load.update(peer for on in ends.values() for peer in on)
    gap = max(load.values(), default=0) - min(load.values(), default=0)
    copied = sum(len(set(on) - sound[shard]) for shard, on in ends.items())
    given_up = 0 if wanted.rebalance else sum(
        placed[shard][peer] == "Active" for shard in ends for peer in sound[shard] & wanted.eligible - set(ends[shard])
    )  # fmt: skip
    squares = 0 if wanted.rebalance else sum(count * count for count in load.values())
    return [int(wanted.rebalance and gap > 1), copied, given_up, squares]


COUNTS_ON_A_COPY_THAT_RECOVERS: Case = (
    {
        0: {1: "Active", 2: "Active", 3: "Active"},
        1: {1: "Active", 2: "Active", 3: "Active", 4: "Dead"},
        2: {1: "Active", 2: "Active"},
    },
    PlacementSpec(factor=1, peers=frozenset({1, 2, 3, 4}), leaving=frozenset({1}), rebalance=True),
)


@given(clusters())
@example(COUNTS_ON_A_COPY_THAT_RECOVERS)
def test_planning_again_after_every_step_ends_as_soon(case: Case) -> None:
    placed, wanted = case
    plan = plan_replicas(placed, wanted)
    left = len(plan.steps)
    while plan.steps:
        assert left > 0
        *_, placed = follow(placed, plan.steps[:1])
        plan, left = plan_replicas(placed, wanted), left - 1


def spread(shards: int, factor: int, peers: int) -> Cluster:
    """As Qdrant places them."""
    return {n: {1 + (n * factor + c) % peers: "Active" for c in range(factor)} for n in range(shards)}


def wanted(factor: int, peers: int = 3, **more: object) -> PlacementSpec:
    return PlacementSpec(factor=factor, peers=frozenset(range(1, peers + 1)), **more)  # type: ignore[arg-type]


def test_a_dead_copy_of_a_living_node_is_left_to_recover() -> None:
    assert plan_replicas({0: {1: "Active", 2: "Dead"}}, wanted(2)).steps == ()


def test_a_copy_that_is_stuck_is_made_anew() -> None:
    stuck = frozenset({(0, 2)})
    plan = plan_replicas({0: {1: "Active", 2: "Dead"}}, wanted(2, peers=2, stuck=stuck))
    assert plan.steps == (Drop(shard=0, peer=2), Replicate(shard=0, from_peer=1, to_peer=2))


def test_a_recovering_copy_is_dropped_before_an_active_one() -> None:
    assert plan_replicas({0: {1: "Dead", 2: "Active"}}, wanted(1)).steps == (Drop(shard=0, peer=1),)


def test_a_shard_without_an_active_copy_is_not_touched_and_named() -> None:
    plan = plan_replicas({0: {1: "Dead", 9: "Active"}}, wanted(2))
    assert plan.steps == ()
    assert "shard 0 has no Active copy" in plan.unmet[0]


@pytest.mark.parametrize("peers", [1, 2, 3])
def test_without_an_eligible_peer_nothing_is_done_and_it_is_reported(peers: int) -> None:
    placed = {0: dict.fromkeys(range(1, peers + 1), "Active")}
    plan = plan_replicas(placed, wanted(2, peers=peers, leaving=frozenset(range(1, peers + 1))))
    assert plan.steps + plan.waiting == ()
    assert "only 0 may hold any" in plan.unmet[0]


def test_the_most_endangered_shard_comes_first() -> None:
    placed = {0: {1: "Active", 2: "Active"}, 1: {1: "Active"}}
    first, *_ = plan_replicas(placed, wanted(3)).steps
    assert first.shard == 1


def test_a_peer_that_leaves_is_emptied_and_nothing_else_moves() -> None:
    placed = spread(6, 2, 4)
    plan = plan_replicas(placed, wanted(2, peers=4, leaving=frozenset({4})))
    *_, end = follow(placed, plan.steps)
    assert all(4 not in on for on in end.values())
    assert transfers(plan) == sum(4 in on for on in placed.values())


def test_new_peers_stay_empty_until_a_rebalance() -> None:
    placed = spread(6, 2, 3)
    assert plan_replicas(placed, wanted(2, peers=5)).steps == ()
    plan = plan_replicas(placed, wanted(2, peers=5, rebalance=True))
    assert transfers(plan) == 4  # twelve copies on five peers: two or three on each


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_another_factor_keeps_even_peers_even(factor: int) -> None:
    plan = plan_replicas(spread(6, 2, 5), wanted(factor, peers=5))
    assert plan.uneven == ""
    assert len(plan.steps) == 6 * abs(factor - 2)
