"""What runs elsewhere is asked before anything is changed: its name, its health path, its certificate."""

from pathlib import Path
from typing import Any

import pytest

from ops.elsewhere import check_elsewhere
from ops.stack import OperatorError
from settings import Settings
from tests.unit.served import Answer, Asked, free_port, served


def check(**services: dict[str, Any]) -> None:
    entries = {name: {"routes": [{"paths": [f"/{name}"]}]} | entry for name, entry in services.items()}
    check_elsewhere(Settings.from_file(Path("Pulumi.dev.yaml"), {"services": entries}))


def healthy(asked: Asked) -> Answer:
    return Answer(200 if asked.path == "/health" else 404)


def test_every_mistake_is_named_by_its_service_and_key() -> None:
    with served(healthy) as url:
        port = url.rpartition(":")[2]
        with pytest.raises(OperatorError) as refused:
            check(
                good={"at": [f"host.docker.internal:{port}"]},
                wrong={"at": [f"host.docker.internal:{port}"], "health": "/healthz"},
                gone={"at": ["no-such-host.invalid:443"], "tls": True},
            )
    said = str(refused.value)
    assert f"services.wrong.health: expected a path that answers 200 at host.docker.internal:{port}, found 404" in said
    assert "services.gone.at: expected a name that resolves, found no-such-host.invalid" in said
    assert "good" not in said
    assert "nothing was changed" in said


@pytest.mark.parametrize(
    "entry",
    [
        {"at": [f"host.docker.internal:{free_port()}"]},  # not started yet
        {"at": ["api:8000"], "networks": ["their_default"]},  # a name of their network
        {"at": ["api.other.svc:8000"]},  # a Service of another namespace
    ],
)
def test_what_may_be_right_is_let_through(entry: dict[str, Any]) -> None:
    check(other=entry)


def test_a_certificate_that_the_gateway_would_refuse_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def refused(*_: Any, **__: Any) -> None:
        raise requests.exceptions.SSLError

    monkeypatch.setattr("ops.elsewhere.direct_request", refused)
    monkeypatch.setattr("ops.elsewhere.socket.getaddrinfo", lambda *_: [])
    with pytest.raises(OperatorError, match=r"services\.api\.tls: expected a certificate of a public authority"):
        check(api={"at": ["api.example.org:443"], "tls": True})
