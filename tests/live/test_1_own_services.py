"""Services that know nothing of this platform, behind the gateway: one runs here, one on this machine."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from access.polling import poll, require
from tests.live.callers import Callers
from tests.live.conftest import LiveStack
from tests.unit.served import free_port

pytestmark = pytest.mark.live

FOREIGN = Path(__file__).with_name("foreign")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of the same service, started as a developer starts it: a process of this machine."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(FOREIGN / "server.py"), str(port)])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def services(stack: LiveStack, port: int) -> dict[str, Any]:
    base = stack.settings.image.python
    return {
        "notes": {
            "build": "tests/live/foreign",
            "buildArgs": {"BASE": base},
            "port": 3000,
            "health": "/healthz",
            "memoryMib": 64,
            "env": {"BY": "notes", "SEES": "${qdrant.url} ${collection} ${service.ide.url}"},
            "secretFiles": {"/run/secrets/qdrant": "${qdrant.readOnlyApiKey}"},
            "metrics": "/metrics",
            "graceSeconds": 5,
            "routes": [
                {"paths": ["/api/v1/notes"], "rateLimitPerMinute": 40, "strip": True},
                {"paths": ["/live"], "streaming": True, "serviceToken": False},
            ],
        },
        "ide": {"at": [f"host.docker.internal:{port}"], "health": "/healthz", "routes": [{"paths": ["/ide"]}]},
    }


@pytest.fixture(scope="module")
def with_services(stack: LiveStack, elsewhere: int) -> Iterator[LiveStack]:
    """The stack with both services, added while it has callers; removed again at the end."""
    with Callers(stack.outputs["gatewayUrl"], stack.token(), callers=1, pause_seconds=1) as callers:
        callers.answered_at_least(3, within_seconds=90)
        stack.up(services=services(stack, elsewhere))
        callers.answered_at_least(callers.answers[200] + 3, within_seconds=90)
    assert set(callers.answers) <= {200, 429}, "adding services failed a call of another one"
    yield stack
    stack.up(services={})


def call(stack: LiveStack, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {stack.token()}"} | more.pop("headers", {})
    method = more.pop("method", "GET")
    return requests.request(method, f"{stack.outputs['gatewayUrl']}{path}", headers=headers, timeout=10, **more)


def test_a_service_is_routed_with_what_the_platform_knows(with_services: LiveStack) -> None:
    answer = call(with_services, "/api/v1/notes/all?x=1").json()
    assert (answer["path"], answer["by"]) == ("/all?x=1", "notes")
    assert answer["sees"].startswith("http://haproxy:6333 docs_index http://host.docker.internal:")
    sent = {name.lower(): value for name, value in answer["headers"].items()}
    assert sent["x-service-token"] == with_services.outputs["gatewayServiceToken"]
    assert sent["authorization"].startswith("Bearer ")
    assert call(with_services, "/api/v1/notes", method="HEAD").status_code == 200
    assert call(with_services, "/api/v1/notes", method="POST", data=b"x" * 1000).json() == {"bytes": 1000}


def test_a_service_is_guarded_and_limited_like_any_other(with_services: LiveStack) -> None:
    url = with_services.outputs["gatewayUrl"]
    for path in ("/api/v1/notes", "/live/events", "/ide"):
        assert requests.get(url + path, timeout=10).status_code == 401
    assert call(with_services, "/api/v1/notes", method="DELETE").status_code == 404
    answers = [call(with_services, "/api/v1/notes") for _ in range(45)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[0].headers["X-RateLimit-Limit-Minute"] == "40"


def test_a_stream_passes_as_it_comes_and_without_our_token(with_services: LiveStack) -> None:
    started = time.monotonic()
    with_token = {"Authorization": f"Bearer {with_services.token()}"}
    url = f"{with_services.outputs['gatewayUrl']}/live/events"
    with requests.get(url, headers=with_token, stream=True, timeout=10) as answer:
        arrived = [time.monotonic() - started for line in answer.iter_lines() if line]
    assert len(arrived) == 3
    assert arrived[2] - arrived[0] > 0.7, "all events came at once: they were held back until the end"
    headers = call(with_services, "/live").json()["headers"]
    assert "x-service-token" not in {name.lower() for name in headers}


def test_a_program_of_this_machine_is_reached(with_services: LiveStack) -> None:
    assert call(with_services, "/ide/x").json()["path"] == "/ide/x"


def test_its_metrics_are_scraped(with_services: LiveStack) -> None:
    query = f"{with_services.outputs['prometheusUrl']}/api/v1/query"

    def scraped() -> None:
        found = requests.get(query, params={"query": 'notes_total{job="notes"}'}, timeout=10).json()["data"]["result"]
        require(bool(found) and found[0]["value"][1] == "3", str(found))

    poll(scraped, 60, expected="the metrics of the service in Prometheus")


def test_its_secret_is_a_file_and_nowhere_else(with_services: LiveStack) -> None:
    container = with_services.container("notes-0")
    key = with_services.outputs["qdrantReadOnlyApiKey"]
    assert container.exec_run("cat /run/secrets/qdrant").output.decode() == key
    assert key not in str(container.attrs)


def test_a_removed_service_leaves_nothing(with_services: LiveStack) -> None:
    with_services.up(services={})
    assert call(with_services, "/api/v1/notes").status_code == 404
    assert [c for c in with_services.engine.containers.list(all=True) if "notes" in c.name] == []
    found = with_services.outputs
    url, headers = f"{found['gatewayAdminUrl']}/services", {"Kong-Admin-Token": found["gatewayAdminToken"]}
    names = {entry["name"] for entry in requests.get(url, headers=headers, timeout=10).json()["data"]}
    assert names == {"rag-service"}
