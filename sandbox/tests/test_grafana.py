"""The stand-in for Grafana accepts what Grafana accepts and refuses what it refuses."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from sandbox.grafana import server
from sandbox.tests.product import grafana_files

PROMETHEUS = "http://prometheus:9090"


class Prometheus(BaseHTTPRequestHandler):
    """Answers every query."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"resultType": "scalar", "result": [0, "2"]}}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{upstream.server_port}"
        upstream.shutdown()


@pytest.fixture
def provisioning(tmp_path: Path, prometheus: str) -> Path:
    """Our own provisioning, moved below a temporary directory."""
    for path, content in grafana_files(PROMETHEUS).items():
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        moved = content.replace("/etc/grafana/dashboards", str(tmp_path / "etc/grafana/dashboards"))
        file.write_text(moved.replace(PROMETHEUS, prometheus))
    return tmp_path / "etc/grafana/provisioning"


@pytest.fixture
def url(provisioning: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(server.Handler, "grafana", server.Grafana(provisioning), raising=False)
    monkeypatch.setattr(server.Handler, "password", "secret")
    monkeypatch.setattr(server.Handler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), server.Handler) as grafana:
        threading.Thread(target=grafana.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{grafana.server_port}"
        grafana.shutdown()


def _get(url: str, password: str = "secret") -> requests.Response:
    return requests.get(url, auth=("admin", password), timeout=60)


def test_only_health_needs_no_password(url: str) -> None:
    assert requests.get(f"{url}/api/health", timeout=60).json()["database"] == "ok"
    assert requests.get(f"{url}/api/search", timeout=60).status_code == 401
    assert _get(f"{url}/api/search", "guess").status_code == 401
    assert _get(f"{url}/api/nothing").status_code == 404
    for page in ("", "/d/rag-overview/any-slug"):
        assert "A stand-in for Grafana" in _get(url + page).text


def test_our_dashboards_and_datasource_are_there(url: str) -> None:
    found = _get(f"{url}/api/search").json()[-1]
    board = _get(f"{url}/api/dashboards/uid/{found['uid']}").json()
    assert (board["dashboard"]["title"], board["meta"]["provisioned"]) == (found["title"], True)
    [source] = _get(f"{url}/api/datasources").json()
    assert _get(f"{url}/api/datasources/uid/{source['uid']}/health").json()["status"] == "OK"


def test_a_prometheus_that_does_not_answer_makes_the_datasource_unhealthy(provisioning: Path) -> None:
    file = next((provisioning / "datasources").iterdir())
    file.write_text(file.read_text().replace("127.0.0.1", "127.0.0.1:1/"))
    grafana = server.Grafana(provisioning)
    status, health = grafana.answer("/api/datasources/uid/prometheus/health")
    assert (status, health["status"]) == (400, "ERROR")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("provisioning/datasources/prometheus.yml", "datasources: [", "expected YML"),
        ("provisioning/datasources/prometheus.yml", "datasources: [{name: a, type: prometheus}]", "expected uid, url"),
        ("provisioning/dashboards/rag-platform.yml", "providers: [{name: a}]", "expected options"),
        ("provisioning/dashboards/x.yml", "providers: [{name: x.yml, options: {path: /x}}]", "expected a directory"),
        ("dashboards/broken.json", "{", "expected JSON"),
        ("dashboards/untitled.json", '{"uid": "u"}', "expected a title"),
        ("dashboards/twin.json", '{"uid": "rag-overview", "title": "t"}', "a uid of its own"),
    ],
)
def test_broken_provisioning_keeps_it_from_starting(
    provisioning: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str, complaint: str
) -> None:
    (provisioning.parent / file).write_text(content)
    monkeypatch.setenv("GF_PATHS_PROVISIONING", str(provisioning))
    with pytest.raises(SystemExit, match=complaint) as stopped:
        server.main()
    assert Path(file).name in str(stopped.value)
