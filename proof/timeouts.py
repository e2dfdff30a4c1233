"""Patience with what is not well yet."""

import time
from collections.abc import Callable
from typing import TypeVar

import requests

from qdrant_admin.api import NodeUnreachable, QdrantError

T = TypeVar("T")
PAUSE_SECONDS = 0.5


def until(what: str, attempt: Callable[[], T | None], seconds: float = 180) -> T:
    """Try until it gives something; refusals and silence only mean: not yet. TimeoutError with the last of them."""
    deadline, last = time.monotonic() + seconds, "nothing"
    while True:
        try:
            if found := attempt():
                return found
        except (NodeUnreachable, QdrantError, requests.RequestException) as error:
            last = str(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {what} within {seconds:.0f} s, found {last}")
        time.sleep(PAUSE_SECONDS)
