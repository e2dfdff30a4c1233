"""The stand-in for Grafana takes what Grafana takes, refuses what it refuses, and asks Prometheus for the rest."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from components.monitoring.grafana import grafana_files
from components.monitoring.promises import Promises
from sandbox.grafana import server


class Prometheus(BaseHTTPRequestHandler):
    """Answers every query with one sample, and remembers it."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(parse_qs(urlsplit(self.path).query)["query"][0])
        result = [{"metric": {"job": "<kong>"}, "value": [0, "42"]}]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"resultType": "vector", "result": result}}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[str]:
    Prometheus.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{upstream.server_port}"
        upstream.shutdown()


@pytest.fixture
def provisioning(tmp_path: Path, prometheus: str) -> Path:
    """Our own provisioning, moved below a temporary directory."""
    for path, content in grafana_files(prometheus, Promises()).items():
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.replace("/etc/grafana/dashboards", str(tmp_path / "etc/grafana/dashboards")))
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


def test_health_is_told_to_everybody_and_nothing_else_is(url: str) -> None:
    assert requests.get(f"{url}/api/health", timeout=60).json()["database"] == "ok"
    assert requests.get(f"{url}/api/search", timeout=60).status_code == 401
    assert _get(f"{url}/api/search", "guess").status_code == 401
    assert _get(f"{url}/api/nothing").status_code == 404
    assert '<a href="/d/rag-overview">' in _get(url).text


def test_our_dashboards_and_datasource_are_there(url: str) -> None:
    found = _get(f"{url}/api/search").json()[-1]
    board = _get(f"{url}/api/dashboards/uid/{found['uid']}").json()
    assert (board["dashboard"]["title"], board["meta"]["provisioned"]) == (found["title"], True)
    [source] = _get(f"{url}/api/datasources").json()
    assert _get(f"{url}/api/datasources/uid/{source['uid']}/health").json()["status"] == "OK"


def test_a_page_names_itself_and_shows_what_prometheus_says_now(url: str) -> None:
    page = _get(f"{url}/d/rag-overview/any-slug").text
    assert "A stand-in for Grafana" in page
    assert "&lt;kong&gt;" in page
    assert "42" in page
    assert Prometheus.asked
    assert not [query for query in Prometheus.asked if "$" in query]


def test_a_silent_prometheus_is_said_to_be_silent(provisioning: Path) -> None:
    file = next((provisioning / "datasources").iterdir())
    file.write_text(file.read_text().replace("127.0.0.1", "127.0.0.1:1/"))
    grafana = server.Grafana(provisioning)
    status, health = grafana.answer("/api/datasources/uid/prometheus/health")
    assert (status, health["status"]) == (400, "ERROR")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("rate(x[$__rate_interval])", "rate(x[60s])"),
        ("increase(x[${__range}])", "increase(x[6h])"),
        ('x{a=~"$one", b=~"${all:regex}", c="$other"}', 'x{a=~"1", b=~".*", c="$other"}'),
    ],
)
def test_variables_are_what_they_are_when_nobody_has_chosen(query: str, asked: str) -> None:
    variables = [{"name": "one", "current": {"value": "1"}}, {"name": "all", "current": {"value": "$__all"}}]
    board: dict[str, Any] = {"time": {"from": "now-6h"}, "templating": {"list": variables}}
    assert server.substituted(query, board, {"jsonData": {"timeInterval": "15s"}}) == asked


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
