"""Another collection behind the same alias, filled and compared before anybody reads from it.

Interrupted anywhere, it is gone on with: the successor's name follows from what is declared, what it has already is
remembered, and the generation being left is marked by an alias in the very request that leaves it.
"""

import time
from collections.abc import Callable

from qdrant_admin.collection.generations import draining_alias, successor, switch
from qdrant_admin.collection.params import Declared, seen
from qdrant_admin.collection.reindexing import ReindexClient, Reindexed
from qdrant_admin.nodes import Nodes
from qdrant_admin.points.collection_points import PAGE, PointsApi
from qdrant_admin.points.copying import Copied, Fill, Takeover
from qdrant_admin.progress import ProgressCallback

PAUSE_SECONDS = 0.5
PASSES = 5  # at most: under writers there is always one point more, and the passes after the switch make it good


def replace(
    nodes: Nodes, declared: Declared, current: str, prepare: Callable[[str], None], told: ProgressCallback
) -> str:
    """The successor, served by the alias and with all that `current` had; RuntimeError before anything is made."""
    target = successor(declared)
    fill = way_to_fill(nodes, declared, current, target)
    told(f"{current} cannot be changed in place: {target} is made beside it, and its points are {fill.how}")
    prepare(target)
    takeover = Takeover(PointsApi(nodes, current), PointsApi(nodes, target), fill, told)
    takeover.remember()
    takeover.catch_up()
    await_indexed(nodes, declared, target)
    _repeat(takeover.catch_up, few=PAGE)
    if reasons := takeover.differences():
        raise RuntimeError(
            f"expected {target} to have what {current} has, found: {'; '.join(reasons)}. {declared['alias']} still "
            f"serves {current}; run the same command again, it goes on from here"
        )
    nodes.with_retries(lambda node: node.change_aliases(switch(declared["alias"], current, target)))
    _await_served(nodes, declared, target)
    told(f"{declared['alias']} serves {target}; taking over what {current} got last")
    _repeat(takeover.catch_late_writes, few=0)
    _unmark(nodes, declared)
    return target


def finish(nodes: Nodes, declared: Declared, draining: str, current: str, told: ProgressCallback) -> None:
    """A run was cut off just after its switch: what the generation before has, and this one lacks, is taken over.

    What was changed at that moment and not added stays as it is here, and what was deleted here since comes back: which
    of two versions is the later one, nobody remembers any more.
    """
    fill = way_to_fill(nodes, declared, draining, current)
    brought = Takeover(PointsApi(nodes, draining), PointsApi(nodes, current), fill, told).create_missing()
    told(f"{current}: {brought} points taken over from {draining}, which an interrupted run had left")
    _unmark(nodes, declared)


def way_to_fill(nodes: Nodes, declared: Declared, source: str, target: str) -> Fill:
    """RuntimeError when vectors have to be made anew and nobody can make them of that size."""
    found = nodes.with_retries(lambda node: node.collection(source))
    if found is None:
        raise RuntimeError(f"expected a collection {source}, found none; run the same command again")
    if vectors_stay(declared, seen(declared, found)):
        return Copied(PointsApi(nodes, target))
    if not declared.get("ingest_url"):
        raise RuntimeError(
            f"expected the ingest role, which makes vectors of another size or distance for {declared['name']}, found "
            "no address of it; nothing was changed"
        )
    client = ReindexClient(declared["ingest_url"], declared["ingest_token"], declared["embedder"])
    if (size := client.vector_size()) != declared["vector_size"]:
        raise RuntimeError(
            f"expected an embedder that makes vectors of {declared['vector_size']} dimensions, found "
            f"{declared['embedder']}, which makes {size}; set collectionVectorSize to {size}, or ragEmbedder to "
            "one that makes them; nothing was changed"
        )
    return Reindexed(client, source, target)


def vectors_stay(declared: Declared, source: Declared) -> bool:
    """Whether stored vectors mean the same in the successor: with Cosine, Qdrant keeps them without their length."""
    same_size = declared["vector_size"] == source["vector_size"]
    return bool(same_size and (declared["distance"] == source["distance"] or source["distance"] != "Cosine"))


def await_indexed(nodes: Nodes, declared: Declared, name: str) -> None:
    """Return when the successor answers as fast as it ever will: green, everything indexed."""
    deadline = time.monotonic() + declared["timeout_seconds"]
    while (found := nodes.with_retries(lambda node: node.collection(name))) is None or found["status"] != "green":
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"expected {name} to be indexed (green) within {declared['timeout_seconds']} s, found "
                f"{found and found['status']}; {declared['alias']} still serves what it did. Run the same command again"
            )
        time.sleep(PAUSE_SECONDS)


def _await_served(nodes: Nodes, declared: Declared, target: str) -> None:
    """Return when no node that answers sends a write to the generation before any more."""
    deadline = time.monotonic() + declared["timeout_seconds"]
    while {aliases.get(declared["alias"]) for aliases in nodes.answers(lambda node: node.aliases())} != {target}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected every node to serve {target} as {declared['alias']}; run the same again")
        time.sleep(PAUSE_SECONDS)


def _repeat(take_pass: Callable[[], int], *, few: int) -> None:
    """Until a pass finds no more than a few points to do, or often enough."""
    for _ in range(PASSES):
        if take_pass() <= few:
            return


def _unmark(nodes: Nodes, declared: Declared) -> None:
    marker = draining_alias(declared["alias"])
    if marker in nodes.with_retries(lambda node: node.aliases()):
        nodes.with_retries(lambda node: node.change_aliases([{"delete_alias": {"alias_name": marker}}]))
