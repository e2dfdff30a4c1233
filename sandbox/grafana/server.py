"""A stand-in for Grafana: provisioned like it, as strict about that, and with tables where Grafana draws charts."""

import base64
import json
import os
import re
import signal
import sys
import urllib.request
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

Tree = dict[str, Any]
PAGE = "<!doctype html><title>{0}</title><h1>{0}</h1><p>A stand-in for Grafana: values of this moment, no charts.</p>"


class Grafana:
    """What is provisioned, by uid; raises ValueError where the real one would not start."""

    def __init__(self, folder: Path) -> None:
        sources = _entries(folder / "datasources", "datasources", {"name", "type", "url", "uid"})
        self.sources: Tree = {source["uid"]: source for source in sources}
        self.boards: Tree = {}
        for provider in _entries(folder / "dashboards", "providers", {"name", "options"}):
            boards = Path(provider["options"].get("path") or "/none")
            if not boards.is_dir():
                raise ValueError(f"{provider['name']}: expected a directory of dashboards, found none at {boards}")
            for file in sorted(boards.rglob("*.json")):
                board = _loaded(file)
                if not board.get("title") or not board.get("uid") or board["uid"] in self.boards:
                    raise ValueError(f"{file}: expected a title and a uid of its own, found {board.get('uid')!r}")
                self.boards[board["uid"]] = board

    def answer(self, path: str) -> tuple[int, Any]:
        """Status and body: a tree for JSON, text for a page."""
        titles = {uid: board["title"] for uid, board in self.boards.items()}
        links = "".join(f'<p><a href="/d/{uid}">{escape(title)}</a>' for uid, title in titles.items())
        found = [{"uid": uid, "title": title, "type": "dash-db"} for uid, title in titles.items()]
        lists = {"/": links, "/api/search": found, "/api/datasources": list(self.sources.values())}
        if path in lists:
            return 200, lists[path]
        match path.strip("/").split("/"):
            case ["api", "dashboards", "uid", uid] if uid in self.boards:
                return 200, {"meta": {"provisioned": True}, "dashboard": self.boards[uid]}
            case ["api", "datasources", "uid", uid, "health"] if uid in self.sources:
                wrong, _ = self._ask(uid, "1+1")
                return 400 if wrong else 200, {"status": "ERROR" if wrong else "OK", "message": wrong}
            case ["d", uid, *_] if uid in self.boards:
                return 200, self._page(self.boards[uid])
        return 404, {"message": "Not found"}

    def _page(self, board: Tree) -> str:
        page = PAGE.format(escape(board["title"]))
        for panel in [inner for outer in board.get("panels", []) for inner in (outer, *outer.get("panels", []))]:
            page += f"<h2>{escape(panel.get('title', ''))}</h2><table border=1>"
            for target in panel.get("targets", []):
                uid = (target.get("datasource") or panel.get("datasource") or {}).get("uid", "")
                query = substituted(target.get("expr", ""), board, self.sources.get(uid, {}))
                wrong, rows = self._ask(uid, query)
                rows = rows or [(wrong or "no data", "")]
                cells = [f"<tr><td>{escape(labels)}<td>{escape(value)}" for labels, value in rows]
                page += f"<tr><th colspan=2>{escape(query)}{''.join(cells)}"
            page += "</table>"
        return page

    def _ask(self, uid: str, query: str) -> tuple[str, list[tuple[str, str]]]:
        """Why there is no answer, or labels and value of each present result."""
        try:
            url = f"{self.sources[uid]['url']}/api/v1/query?{urlencode({'query': query})}"
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a provisioned address
                data = json.load(answer)["data"]
        except (OSError, KeyError) as error:
            return f"no answer: {error!r}", []
        rows = data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]
        return "", [(json.dumps(row["metric"]).strip("{}"), row["value"][1]) for row in rows]


def _loaded(file: Path) -> Tree:
    try:
        tree = json.loads(file.read_text()) if file.suffix == ".json" else yaml.safe_load(file.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: expected {file.suffix[1:].upper()}, found: {error}") from error
    return tree if isinstance(tree, dict) else {}


def _entries(folder: Path, name: str, needed: set[str]) -> list[Tree]:
    entries: list[Tree] = []
    for file in sorted(folder.glob("*.y*ml")):
        entries += _loaded(file).get(name) or []
        if missing := {key for key in needed for entry in entries if not entry.get(key)}:
            raise ValueError(f"{file}: expected {', '.join(sorted(missing))} in each of {name}, found none")
    return entries


def substituted(query: str, board: Tree, source: Tree) -> str:
    """The query with Grafana's and the dashboard's variables as they are when nobody has chosen."""
    seconds = int(source.get("jsonData", {}).get("timeInterval", "15s").removesuffix("s"))
    values = {"__rate_interval": f"{4 * seconds}s", "__interval": f"{seconds}s"}
    values["__range"] = board.get("time", {}).get("from", "now-1h").removeprefix("now-")
    for variable in board.get("templating", {}).get("list", []):
        chosen = variable.get("current", {}).get("value")
        values[variable["name"]] = chosen if isinstance(chosen, str) and chosen != "$__all" else ".*"
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda found: values.get(found[1], found[0]), query)


class Handler(BaseHTTPRequestHandler):
    """Lets in admin, and asks nobody for /api/health."""

    grafana: Grafana
    password = "admin"  # noqa: S105 - Grafana's own default

    def do_GET(self) -> None:
        path, admin = urlsplit(self.path).path, base64.b64encode(f"admin:{self.password}".encode()).decode()
        status, body = 401, {"message": "Unauthorized"}
        if path == "/api/health":
            status, body = 200, {"database": "ok", "version": "12.1.0", "commit": "stand-in"}
        elif self.headers["Authorization"] == f"Basic {admin}":
            status, body = self.grafana.answer(path)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8" if isinstance(body, str) else "application/json")
        self.send_header("WWW-Authenticate", "Basic") if status == 401 else None
        self.end_headers()
        self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())


def main() -> None:
    """Serve what is provisioned; exit 1 and say why if that cannot be."""
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
