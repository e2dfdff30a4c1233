"""What would leave the service is answered by the test."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

TOKEN = "s3rvice-token-of-the-tests"


@dataclass
class Network:
    """The neighbours `qdrant`, `ollama` and `query`: each answers as the test says; what was asked is kept."""

    answers: dict[str, Callable[[httpx.Request], httpx.Response]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.host not in self.answers:
            raise httpx.ConnectError("nobody listens", request=request)
        return self.answers[request.url.host](request)
