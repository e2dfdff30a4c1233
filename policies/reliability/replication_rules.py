"""How many copies of the data there are, and how few may be left for reads and writes to go on."""

from collections.abc import Iterator, Sequence
from typing import Any

from policies.declared import COLLECTION, QDRANT
from policies.invariants import keeps_a_majority, replicas_fit
from policies.rule import Setting, Subject, Violation, Violations, rule


@rule(
    on=QDRANT,
    reason="Two nodes of two, or two of four, are no majority: the cluster stops deciding when a node is lost.",
    remedy="Set `rag-platform:qdrantNodes` to 3, 5 or 7.",
    fewest=Setting(3, "the smallest number of nodes"),
)
def clusters_keep_a_majority(subject: Subject, *, fewest: int) -> Violations:
    """A cluster has an odd number of nodes, and enough of them to lose one."""
    nodes = _number(subject, "nodes")
    if nodes is not None and not keeps_a_majority(nodes, fewest):
        wanted = max(fewest, nodes) | 1
        yield Violation(subject.name, f"has {nodes} nodes; write an odd number, {fewest} or more, such as {wanted}")


@rule(
    on=COLLECTION,
    reason="What stands on one node is gone with its disk, and cannot be read while it restarts.",
    remedy="Set `rag-platform:collectionReplicationFactor` (`replicationFactor` under `collections`) to 2 or more.",
    fewest=Setting(2, "the smallest replication factor"),
)
def collections_survive_a_lost_node(subject: Subject, *, fewest: int) -> Violations:
    """Every shard stands on at least two nodes."""
    factor = _number(subject, "replication_factor")
    if factor is not None and factor < fewest:
        yield Violation(subject.name, f"replication factor is {factor}; write {fewest} or more")


@rule(
    on=(*QDRANT, *COLLECTION),
    whole_stack=True,
    reason="Qdrant accepts a factor that it cannot fulfil, without an error: there are fewer copies than declared.",
    remedy="Lower the replication factor, or add nodes.",
)
def replicas_fit_the_nodes(subjects: Sequence[Subject]) -> Violations:
    """No collection wants more replicas than there are nodes."""
    for collection, nodes in _placed(subjects):
        factor = _number(collection, "replication_factor")
        if factor is not None and not replicas_fit(factor, nodes):
            text = f"replication factor {factor} needs as many nodes, and there are {nodes}; lower it, or add nodes"
            yield Violation(collection.name, text)


@rule(
    on=COLLECTION,
    reason="When every copy must take a write, no write is taken while one node is down: measured with 2 of 2.",
    remedy="Set `rag-platform:collectionWriteConsistencyFactor`, or `writeConsistencyFactor` of one of `collections`, "
    "below the replication factor: 1 of 2, or 2 of 3.",
)
def writes_go_on_without_a_node(subject: Subject) -> Violations:
    """A write needs fewer copies than there are."""
    factor, consistency = _number(subject, "replication_factor"), _number(subject, "write_consistency_factor")
    if factor is not None and consistency is not None and consistency >= factor > 1:
        advice = f"write {factor - 1}, or one more copy"
        yield Violation(subject.name, f"a write needs {consistency} of {factor} copies; {advice}")


@rule(
    on=(*QDRANT, *COLLECTION),
    whole_stack=True,
    reason="Shards are placed whole: a node with more of them than its neighbours is full first, one "
    "without any is idle. The number is fixed for the life of a collection.",
    remedy="Choose a multiple of the number of nodes, such as twice as many. A cluster that grew may be a bit uneven: "
    "the setting says how much.",
    most_uneven_percent=Setting(25, "how much more than the average the fullest node may hold"),
    most_for_a_node=Setting(20, "how many shards there may be for each node"),
)
def shards_spread_over_the_nodes(
    subjects: Sequence[Subject], *, most_uneven_percent: int, most_for_a_node: int
) -> Violations:
    """The shards of a collection fill the nodes evenly, and are not too many."""
    for collection, nodes in _placed(subjects):
        shards, factor = _number(collection, "shard_number"), _number(collection, "replication_factor")
        if shards is None or factor is None or factor > nodes:
            continue
        uneven = 100 * (-(-shards * factor // nodes) * nodes - shards * factor) / (shards * factor)
        if shards < nodes or uneven > most_uneven_percent:
            text = f"{shards} shards leave the nodes uneven; write a multiple of {nodes}, such as {2 * nodes}"
            yield Violation(collection.name, text)
        elif shards > most_for_a_node * nodes:
            text = f"{shards} shards cost memory and files on every node; write at most {most_for_a_node * nodes}"
            yield Violation(collection.name, text)


def _placed(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, int]]:
    """Each collection with the number of nodes it stands on, when the stack has one cluster."""
    nodes = [_number(subject, "nodes") for subject in subjects if subject.type in QDRANT]
    if len(nodes) == 1 and nodes[0]:
        yield from ((subject, nodes[0]) for subject in subjects if subject.type not in QDRANT)


def _number(subject: Subject, key: str) -> int | None:
    """Numbers come from the engine as floats."""
    value: Any = subject.inputs.get(key)
    return int(value) if isinstance(value, int | float) else None
