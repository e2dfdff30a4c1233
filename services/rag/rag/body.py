"""Request bodies within bounds: read before the application sees them, refused before they are parsed."""

import re

from starlette.types import Message, Receive, Scope

MAX_VALUES = 200_000  # of JSON, in one body: three bytes of it can become a hundred in memory
# Possessive, and content with an end that is missing: linear in the length of whatever is sent.
STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class TooLarge(Exception):
    """A body is over a limit; the message names what was expected, what was found, and what to do."""


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Read the body, and return what hands it to the application; raise `TooLarge` as soon as that is known."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    _check_size(int(declared) if declared.isdigit() else 0, max_bytes)
    messages = [await _read(receive, max_bytes)]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _read(receive: Receive, max_bytes: int) -> Message:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return message
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        _check_size(size, max_bytes)
        more = message.get("more_body", False)
    body = b"".join(chunks)
    _check_values(body)
    return {"type": "http.request", "body": body, "more_body": False}


def _check_size(found: int, most: int) -> None:
    if found > most:
        raise TooLarge(f"expected a body of at most {most:,} bytes, found {found:,} or more; send less at a time")


def _check_values(body: bytes) -> None:
    if len(body) > MAX_VALUES:
        bare = STRINGS.sub(b"", body)
        if sum(map(bare.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise TooLarge(f"expected at most {MAX_VALUES:,} JSON values, found more; send fewer documents at a time")
