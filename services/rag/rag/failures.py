"""What can be wrong with a neighbour: it is down, or it is well and says no."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

# A call that never arrived, or hit a kept-alive connection that was just being closed.
LOST = (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class Unavailable(Exception):
    """A neighbour did not do its work; the caller is told to come again."""

    def __init__(self, neighbour: str, reason: str, retry_after_seconds: int = 5) -> None:
        super().__init__(f"{neighbour} is not available: {reason}")
        self.neighbour = neighbour
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Refused(Unavailable):
    """A neighbour is well and refuses what we asked: no reason to stop asking it, nor to ask the same again."""


@contextmanager
def http_failures(neighbour: str) -> Iterator[None]:
    """Name what goes wrong in an HTTP call."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise refusal(neighbour, error.response.status_code, error.response.text) from error
    except httpx.HTTPError as error:
        raise Unavailable(neighbour, f"expected an answer, found {type(error).__name__}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise Unavailable(neighbour, f"expected another form of answer, found {type(error).__name__}") from error


def refusal(neighbour: str, status: int, text: str) -> Unavailable:
    """Return the failure behind a status: only 4xx is a refusal, and 429 is a neighbour out of breath."""
    kind = Refused if 400 <= status < 500 and status != 429 else Unavailable
    return kind(neighbour, f"expected success, found {status} {text[:200]}".strip())
