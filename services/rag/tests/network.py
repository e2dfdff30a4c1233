"""Test doubles of what the service calls over the network."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

TOKEN = "s3rvice-token-of-the-tests"


@dataclass
class Network:
    """The dependencies `qdrant`, `ollama` and `query`: each answers as the test sets it; requests are recorded."""

    answers: dict[str, Callable[[httpx.Request], httpx.Response]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.host not in self.answers:
            raise httpx.ConnectError("nothing listens", request=request)
        return self.answers[request.url.host](request)
