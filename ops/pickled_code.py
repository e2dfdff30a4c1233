"""Whether this Python can run what the state keeps of dynamic providers: names it can, another Python's code it cannot.

Byte code of one minor version kills another without a word (a segmentation fault inside the engine's plugin), so it is
looked for before the engine is asked for anything.
"""

import base64
import json
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

from providers.wire import python_minor

PROVIDER, CODE = "__provider", b"_create_code"  # how dill says that code follows, and not a name


# As they are before the SDK serializes the first provider: each time it wraps them once more, and never undoes it. A
# process that runs the program often would end in a RecursionError.
_PICKLER: Any = pickle._Pickler
_PLAIN = {name: getattr(_PICKLER, name) for name in ("_batch_setitems", "save_dict")}


def unwrap_pickler() -> None:
    """Take away what the SDK put around Python's pickler when it serialized providers in this process."""
    for name, plain_method in _PLAIN.items():
        setattr(_PICKLER, name, plain_method)


def refuse_foreign_code(recorded: Iterable[dict[str, Any]]) -> str:
    """Why these resources must not be touched by this Python; empty when they may be."""
    foreign = [*_foreign(recorded)]
    if not foreign:
        return ""
    names, writers = ", ".join(name for name, _ in foreign), " or ".join(sorted({writer for _, writer in foreign}))
    return (
        f"expected Python {writers}, whose code the state holds for {names}, found {python_minor()}, which would crash "
        f"on it; run make up once with Python {writers}: it leaves names, which any can read, in the place of code"
    )


def _foreign(recorded: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for resource in recorded:
        kept = plain((resource.get("inputs") or {}).get(PROVIDER))
        writer = str((resource.get("outputs") or {}).get("python") or "of the version that wrote it")
        if kept and CODE in base64.b64decode(kept) and writer != python_minor():
            yield resource["urn"].rpartition("::")[2], writer


def plain(value: Any) -> str:
    """A property as it is, which the state may hold as a secret."""
    if isinstance(value, dict):
        return str(json.loads(value["plaintext"])) if "plaintext" in value else ""
    return str(value or "")
