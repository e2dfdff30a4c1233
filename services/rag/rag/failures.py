"""What can be wrong with a dependency: it is down, or it is healthy and refuses the request."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

# A call that never arrived, or hit a kept-alive connection that was just being closed.
LOST = (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
PASSING = (408, 425, 429)  # 4xx that another attempt may end
MISSING_MODEL = 404  # of Ollama: the model can be pulled while this service runs

# The status of a refusal. A 5xx, for it is no fault of the caller, but none that clients and gateways retry (502, 503,
# 504), nor one that a gateway's passive checks count against this healthy process (500, 502, 504).
REFUSED = 501
REFUSED_REMEDY = "; change what it refuses, the same request is refused again"


class Unavailable(Exception):
    """A dependency did not do its work; the same request may succeed after `retry_after_seconds`."""

    words = "is not available"

    def __init__(self, dependency: str, reason: str, retry_after_seconds: int = 5) -> None:
        super().__init__(f"{dependency} {self.words}: {reason}")
        self.dependency = dependency
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Declined(Unavailable):
    """A healthy dependency reports that something it needs is missing; opens no breaker."""


class Refused(Declined):
    """A healthy dependency refuses what this service asks: the same request is refused until something is changed."""

    words = "refused the request"


@contextmanager
def http_failures(dependency: str) -> Iterator[None]:
    """Name what goes wrong in an HTTP call."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise refusal(dependency, error.response.status_code, error.response.text) from error
    except httpx.HTTPError as error:
        raise Unavailable(dependency, f"expected an answer, found {type(error).__name__}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise Unavailable(dependency, f"expected another form of answer, found {type(error).__name__}") from error


def refusal(dependency: str, status: int, text: str) -> Unavailable:
    """Return the failure behind a status: a 4xx is a refusal unless time alone may end it."""
    kind = Refused if 400 <= status < 500 and status not in PASSING else Unavailable
    if status == MISSING_MODEL and dependency in ("llm", "embedding"):
        kind = Declined
    return kind(dependency, f"expected success, found {status} {text[:200]}".strip())
