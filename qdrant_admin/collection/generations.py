"""Which of the cluster's collections are generations of a declared one, and which of them its alias serves; pure.

The first generation has the declared name. One that replaces it is named after what it has otherwise, so that a run
that was interrupted finds its own unfinished work again, and continues it.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from qdrant_admin.collection.spec import FIXED, PLAIN_LAYOUT, CollectionSpec


@dataclass(frozen=True, kw_only=True)
class Generations:
    """`served` is what the alias serves; `draining` the one before it, as long as it may have late writes."""

    name: str
    served: str | None
    draining: str | None
    known: tuple[str, ...]

    @property
    def current(self) -> str | None:
        """What the alias serves, else the first generation, which nothing serves yet."""
        return self.served or (self.name if self.name in self.known else None)

    @property
    def previous(self) -> list[str]:
        return [name for name in self.known if name != self.current]


def generations(spec: CollectionSpec, collections: Collection[str], aliases: Mapping[str, str]) -> Generations:
    """RuntimeError when the alias serves another collection, or is the name of one."""
    name, alias = spec.name, spec.alias
    served = aliases.get(alias)
    if alias in collections or (served and name not in (served, first_generation(served))):
        found = f"one that serves {served}" if served else "a collection of that name"
        raise RuntimeError(
            f"expected the alias {alias} to be free, or to serve {name}, found {found}; nothing was changed. Give "
            "the alias another name in the stack file, or remove that by hand"
        )
    others = {target for other, target in aliases.items() if other not in (alias, draining_alias(alias))}
    known = sorted(each for each in collections if name in (each, first_generation(each)))
    kept = tuple(each for each in known if each in (name, served) or each not in others)
    return Generations(name=name, served=served, draining=aliases.get(draining_alias(alias)), known=kept)


def first_generation(name: str) -> str:
    """The name that this one continues, where it is a successor's; else itself."""
    return re.sub(r"-[0-9a-f]{8}\Z", "", name)


def draining_alias(alias: str) -> str:
    """Marks, among the aliases that all nodes agree on, the generation that is being drained."""
    return f"{alias}--before"


def successor(spec: CollectionSpec) -> str:
    """The name of the generation that has the fixed parameters that are declared."""
    layout = [] if spec.layout == PLAIN_LAYOUT else [dict(sorted(spec.layout.items()))]
    fixed = json.dumps([*(getattr(spec, key) for key in FIXED), *layout])
    return f"{spec.name}-{hashlib.blake2b(fixed.encode(), digest_size=4).hexdigest()}"


def switch(alias: str, current: str, to: str) -> list[dict[str, dict[str, str]]]:
    """One request: the alias serves `to`, and the generation before is marked, both or neither."""
    return [
        {"delete_alias": {"alias_name": alias}},
        {"create_alias": {"alias_name": alias, "collection_name": to}},
        {"create_alias": {"alias_name": draining_alias(alias), "collection_name": current}},
    ]
