"""Migrating what cannot be copied: the texts in a collection's payloads, indexed anew by the ingest role.

Passages that overlap are joined as they are: a sentence at a seam may stand in a document twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ops.corpus import Document
from ops.stack import OperatorError
from qdrant_admin.points.client import Point


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The payload's keys of a passage's source, its title, its position in the source and its text."""

    source: str = "source"
    title: str = "title"
    place: str = "chunk"
    text: str = "text"


def documents(points: Iterable[Point], keys: Keys) -> list[Document]:
    """One document for each source, its passages in their order; OperatorError when a payload has no text."""
    passages: dict[str, list[tuple[int, Mapping[str, object]]]] = {}
    for point in points:
        payload = point.get("payload") or {}
        if not isinstance(payload.get(keys.text), str):
            raise OperatorError(
                f"expected text under the key {keys.text} in the payload of point {point['id']}, found "
                f"{', '.join(payload) or 'no payload'}; name the key with TEXT_KEY=, or index the files themselves"
            )
        place = payload.get(keys.place)
        source = str(payload.get(keys.source) or point["id"])
        passages.setdefault(source, []).append((place if isinstance(place, int) else 0, payload))
    return [_document(source, found, keys) for source, found in passages.items()]


def _document(source: str, found: list[tuple[int, Mapping[str, object]]], keys: Keys) -> Document:
    in_order = [payload for _, payload in sorted(found, key=lambda passage: passage[0])]
    text = "\n".join(str(payload[keys.text]) for payload in in_order)
    return Document(source=source, title=str(in_order[0].get(keys.title) or source), text=text)
