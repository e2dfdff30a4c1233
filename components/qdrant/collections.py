"""What is wrong between the collections of a stack: found before anything is made."""

from collections.abc import Iterator, Mapping

from policies.invariants import replicas_fit
from qdrant_admin.collection.generations import draining_alias, first_generation
from qdrant_admin.collection.settings import CollectionEntry, CollectionSettings


def collection_mistakes(served: CollectionSettings, others: Mapping[str, CollectionEntry], nodes: int) -> Iterator[str]:
    """Of the one that the reference service uses, and of the others, as `key: expected, found, what to do`."""
    if not replicas_fit(served.replication_factor, nodes):
        yield (
            f"collectionReplicationFactor: expected at most qdrantNodes ({nodes}), found {served.replication_factor}; "
            "lower it, or add nodes"
        )
    taken = {served.name: "collectionName", served.alias: "collectionAlias"}
    generations = {served.name: "collectionName"} | {name: f"collections.{name}" for name in others}
    for name, entry in others.items():
        where = f"collections.{name}"
        if not replicas_fit(entry.replication_factor, nodes):
            yield (
                f"{where}.replicationFactor: expected at most qdrantNodes ({nodes}), found "
                f"{entry.replication_factor}; lower it, or add nodes"
            )
        for key, word in ((where, name), (f"{where}.alias", entry.alias)):
            if other := taken.get(word) or _generation_of(word, generations):
                yield f"{key}: expected a name of its own, found {word}, that of {other}; rename one of them"
            if word.endswith(draining_alias("")):
                yield f"{key}: expected another ending than {draining_alias('')}, which marks a change; rename it"
            taken.setdefault(word, key)


def _generation_of(word: str, generations: Mapping[str, str]) -> str:
    """The key of the collection that would take a collection of this name for one of its own generations."""
    first = first_generation(word)
    return generations.get(first, "") if first != word else ""
