"""Migrating what cannot be copied: the texts in a collection's payloads, indexed anew by the ingest role.

Passages that overlap are joined as they are: a sentence at a seam may stand in a document twice.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.corpus import Document
from ops.stack import OperatorError
from qdrant_admin.points.client import Point


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Where a payload has a passage's source, its title, its position in the source and its text.

    `metadata.source` is `source` within `metadata`, which may be JSON in a string.
    """

    source: str = "source"
    title: str = "title"
    place: str = "chunk"
    text: str = "text"


LANGCHAIN = Keys(text="page_content", source="metadata.source", title="metadata.title", place="metadata.start_index")
LLAMAINDEX = Keys(
    text="_node_content.text", source="ref_doc_id", title="file_name", place="_node_content.start_char_idx"
)


def documents(points: Iterable[Point], keys: Keys) -> list[Document]:
    """One document for each source, its passages in their order; OperatorError when a payload has no text.

    Payloads that LangChain or LlamaIndex wrote are read as they are.
    """
    passages: dict[str, list[tuple[int, Mapping[str, Any], Keys]]] = {}
    for point in points:
        payload = point.get("payload") or {}
        shape = next((each for each in (keys, LANGCHAIN, LLAMAINDEX) if isinstance(at(payload, each.text), str)), None)
        if shape is None:
            raise OperatorError(
                f"expected text under the key {keys.text} in the payload of point {point['id']}, found "
                f"{', '.join(payload) or 'no payload'}; name the key with TEXT_KEY=, or index the files themselves"
            )
        place = at(payload, shape.place)
        source = str(at(payload, shape.source) or point["id"])
        passages.setdefault(source, []).append((place if isinstance(place, int) else 0, payload, shape))
    return [_document(source, found) for source, found in passages.items()]


def at(payload: Mapping[str, Any], key: str) -> Any:
    """What the payload has under the key, or under the path that it spells; None for nothing."""
    if key in payload:
        return payload[key]
    found: Any = payload
    for step in key.split("."):
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError:
                return None
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _document(source: str, found: list[tuple[int, Mapping[str, Any], Keys]]) -> Document:
    in_order = sorted(found, key=lambda passage: passage[0])
    text = "\n".join(str(at(payload, keys.text)) for _, payload, keys in in_order)
    _, first, keys = in_order[0]
    return Document(source=source, title=str(at(first, keys.title) or source), text=text)
