"""A stand-in for Grafana: provisioned like it and as strict about that, but it draws nothing."""

import base64
import json
import os
import signal
import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

Tree = dict[str, Any]
PAGE = "<!doctype html><title>Grafana</title><p>A stand-in for Grafana, which draws nothing. It would show: {}."


class Grafana:
    """What is provisioned, by uid; raises ValueError where the real Grafana would not start."""

    def __init__(self, folder: Path) -> None:
        _entries(folder / "datasources", "datasources", {"name", "type", "url", "uid"})
        self.dashboards: Tree = {}
        for provider in _entries(folder / "dashboards", "providers", {"name", "options"}):
            directory = Path(provider["options"].get("path") or "/none")
            if not directory.is_dir():
                raise ValueError(f"{provider['name']}: expected a directory of dashboards, found none at {directory}")
            for file in sorted(directory.rglob("*.json")):
                dashboard = _loaded(file)
                if not dashboard.get("title") or not dashboard.get("uid") or dashboard["uid"] in self.dashboards:
                    raise ValueError(f"{file}: expected a title and a uid of its own, found {dashboard.get('uid')!r}")
                self.dashboards[dashboard["uid"]] = dashboard

    def page(self, path: str) -> tuple[int, str]:
        """Status and text: the titles of all dashboards, or of the one that the path names."""
        titles = {f"/d/{uid}": dashboard["title"] for uid, dashboard in self.dashboards.items()}
        shown = [title for prefix, title in titles.items() if f"{path}/".startswith(f"{prefix}/") or path == "/"]
        return (200, PAGE.format(escape(", ".join(shown)))) if shown else (404, "Not found")


def _loaded(file: Path) -> Tree:
    try:
        tree = json.loads(file.read_text()) if file.suffix == ".json" else yaml.safe_load(file.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: expected {file.suffix[1:].upper()}, found: {error}") from error
    return tree if isinstance(tree, dict) else {}


def _entries(folder: Path, name: str, required: set[str]) -> list[Tree]:
    entries: list[Tree] = []
    for file in sorted(folder.glob("*.y*ml")):
        entries += _loaded(file).get(name) or []
        if missing := {key for key in required for entry in entries if not entry.get(key)}:
            raise ValueError(f"{file}: expected {', '.join(sorted(missing))} in each of {name}, found none")
    return entries


class Handler(BaseHTTPRequestHandler):
    """Requires the administrator's password, except for /api/health."""

    grafana: Grafana
    password = "admin"  # noqa: S105 - Grafana's own default

    def do_GET(self) -> None:
        path, admin = urlsplit(self.path).path, base64.b64encode(f"admin:{self.password}".encode()).decode()
        status, body, kind = 401, "Unauthorized", "text/html; charset=utf-8"
        if path == "/api/health":
            status, body = 200, json.dumps({"database": "ok", "version": "12.1.0", "commit": "stand-in"})
            kind = "application/json"
        elif self.headers["Authorization"] == f"Basic {admin}":
            status, body = self.grafana.page(path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("WWW-Authenticate", "Basic") if status == 401 else None
        self.end_headers()
        self.wfile.write(body.encode())


def main() -> None:
    """Serve what is provisioned; exit 1 with the reason if that cannot be."""
    try:
        Handler.grafana = Grafana(Path(os.environ.get("GF_PATHS_PROVISIONING", "/etc/grafana/provisioning")))
    except (ValueError, OSError) as error:
        sys.exit(f"provisioning failed: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container ignores it by default
    if file := os.environ.get("GF_SECURITY_ADMIN_PASSWORD__FILE"):
        Handler.password = Path(file).read_text().strip()
    ThreadingHTTPServer(("", int(os.environ.get("GF_SERVER_HTTP_PORT", "3000"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
