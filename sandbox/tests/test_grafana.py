"""The stand-in for Grafana accepts what Grafana accepts and refuses what it refuses."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from sandbox.grafana import server
from sandbox.tests.product import grafana_files


@pytest.fixture
def provisioning(tmp_path: Path) -> Path:
    """Our own provisioning, moved below a temporary directory."""
    for path, content in grafana_files("http://prometheus:9090").items():
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


def test_only_health_needs_no_password(url: str) -> None:
    assert requests.get(f"{url}/api/health", timeout=60).json()["database"] == "ok"
    assert requests.get(f"{url}/", timeout=60).status_code == 401
    assert _get(f"{url}/", "guess").status_code == 401
    assert _get(f"{url}/api/nothing").status_code == 404


def test_the_provisioned_dashboards_are_named_on_the_page_of_a_stand_in(url: str) -> None:
    for path in ("/", "/d/rag-overview/any-slug"):
        page = _get(url + path).text
        assert "A stand-in for Grafana" in page
        assert "RAG Services Overview" in page
    assert _get(f"{url}/d/rag-overview-2").status_code == 404


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("provisioning/datasources/prometheus.yml", "datasources: [", "expected YML"),
        ("provisioning/datasources/prometheus.yml", "datasources: [{name: a, type: prometheus}]", "expected uid, url"),
        ("provisioning/dashboards/rag-platform.yml", "providers: [{name: a}]", "expected options"),
        ("provisioning/dashboards/x.yml", "providers: [{name: x.yml, options: {path: /x}}]", "expected a directory"),
        ("dashboards/broken.json", "{", "expected JSON"),
        ("dashboards/untitled.json", '{"uid": "u"}', "expected a title"),
        ("dashboards/same-uid.json", '{"uid": "rag-overview", "title": "t"}', "a uid of its own"),
    ],
)
def test_broken_provisioning_keeps_it_from_starting(
    provisioning: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str, message: str
) -> None:
    (provisioning.parent / file).write_text(content)
    monkeypatch.setenv("GF_PATHS_PROVISIONING", str(provisioning))
    with pytest.raises(SystemExit, match=message) as stopped:
        server.main()
    assert Path(file).name in str(stopped.value)
