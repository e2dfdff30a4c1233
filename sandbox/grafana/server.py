"""A stand-in for Grafana: provisioned like it, as strict about that, with plain pictures for Grafana's charts."""

import base64
import json
import os
import re
import signal
import sys
import time
import urllib.request
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml

from sandbox.grafana import charts

Tree = dict[str, Any]
PAGE = """<!doctype html><title>{0}</title><style>
body {{background:#111217;color:#ccccdc;font:12px sans-serif;margin:8px}} a {{color:#6e9fff}} h1 {{font-size:18px}}
.board {{position:relative}} .panel {{position:absolute;background:#181b1f;border:1px solid #2c3235;overflow:hidden;
box-sizing:border-box;padding:4px}} h2 {{font-size:13px;margin:0 0 2px}} h3 {{font-size:15px;margin:4px}}
svg {{width:100%;height:calc(100% - 46px)}} svg text {{font-size:8px;fill:#9fa7b3}} .legend {{margin:0;font-size:10px}}
.tiles {{display:flex;flex-wrap:wrap;gap:4px;height:85%}} .tile {{flex:1;padding:6px;min-width:60px}}
.tile b {{display:block;font-size:20px}} td,th {{padding:2px 8px;text-align:right}} pre {{white-space:pre-wrap}}
</style><h1>{0}</h1><p>A stand-in for Grafana: plain pictures of what Prometheus says.</p>"""
COLUMN_PERCENT, ROW_PIXELS = 100 / 24, 32


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

    def answer(self, path: str, asked: Tree | None = None) -> tuple[int, Any]:
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
                wrong, _ = self._ask(uid, query="1+1")
                return 400 if wrong else 200, {"status": "ERROR" if wrong else "OK", "message": wrong}
            case ["d", uid, *_] if uid in self.boards:
                return 200, self._page(self.boards[uid], asked or {})
        return 404, {"message": "Not found"}

    def _page(self, board: Tree, asked: Tree) -> str:
        """All panels, or the one that `viewPanel` asks for, over the time that `from` asks for (`now-15m`)."""
        panels = [inner for outer in board.get("panels", []) for inner in (outer, *outer.get("panels", []))]
        if one := asked.get("viewPanel"):
            panels = [panel | {"gridPos": {"x": 0, "y": 0, "w": 24, "h": 20}}
                      for panel in panels if f"panel-{panel.get('id')}" == one]  # fmt: skip
        back = asked.get("from") or board.get("time", {}).get("from", "now-1h")
        seconds = int(back[4:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[back[-1]]
        drawn = "".join(self._panel(panel, board, seconds) for panel in panels)
        return f"{PAGE.format(escape(board['title']))}<div class=board>{drawn}</div>"

    def _panel(self, panel: Tree, board: Tree, seconds: int) -> str:
        at, title = panel.get("gridPos", {}), escape(panel.get("title", ""))
        place = f"left:{at.get('x', 0) * COLUMN_PERCENT}%;width:{at.get('w', 24) * COLUMN_PERCENT}%;" + "".join(
            f"{side}:{at.get(key, 1) * ROW_PIXELS}px;" for side, key in (("top", "y"), ("height", "h"))
        )
        if panel.get("type") == "row":
            return f'<h3 style="position:absolute;{place}">{title}</h3>'
        links = "".join(
            f' <a href="{escape(each["url"])}">{escape(each["title"])}</a>' for each in panel.get("links") or []
        )
        return f'<div class=panel style="{place}"><h2>{title}{links}</h2>{self._content(panel, board, seconds)}</div>'

    def _content(self, panel: Tree, board: Tree, seconds: int) -> str:
        if panel.get("type") == "text":
            return f"<pre>{escape(panel['options']['content'])}</pre>"
        lines, rows = [], []
        for target in panel.get("targets", []):
            uid = (target.get("datasource") or panel.get("datasource") or {}).get("uid", "")
            query = substituted(target.get("expr", ""), board, self.sources.get(uid, {}))
            span = {} if target.get("instant") else _span(seconds, self.sources.get(uid, {}))
            wrong, found = self._ask(uid, query=query, **span)
            if wrong:
                return f"<p>{escape(wrong)}<p>{escape(query)}"
            lines += [(charts.legend(target.get("legendFormat", ""), labels), points) for labels, points in found]
            rows += [(target.get("refId", ""), labels, points[-1][1]) for labels, points in found]
        if not lines:
            return f"<p>{escape(panel['fieldConfig']['defaults'].get('noValue', 'No data'))}"
        return _drawn(panel, lines, rows, seconds)

    def _ask(self, uid: str, **asked: Any) -> tuple[str, list[tuple[Tree, charts.Points]]]:
        """Why there is no answer, or labels and (seconds, value) of each series; over a time if it has a step."""
        try:
            kind = "query_range" if "step" in asked else "query"
            url = f"{self.sources[uid]['url']}/api/v1/{kind}?{urlencode(asked)}"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a provisioned address
                data = json.load(answer)["data"]
        except (OSError, KeyError) as error:
            return f"no answer: {error!r}", []
        rows = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
        found = [(row["metric"], row.get("values") or [row["value"]]) for row in rows]
        return "", [(labels, [(float(at), float(value)) for at, value in points]) for labels, points in found]


def _span(seconds: int, source: Tree) -> Tree:
    """From when to when a graph asks, and how finely: about 400 points, no finer than it is scraped."""
    scrape = int(source.get("jsonData", {}).get("timeInterval", "15s").removesuffix("s"))
    now = time.time()
    return {"start": now - seconds, "end": now, "step": max(scrape, seconds // 400)}


def _drawn(panel: Tree, lines: list[Any], rows: list[Any], seconds: int) -> str:
    now = time.time()
    match panel.get("type"):
        case "stat":
            return charts.numbers(lines, panel)
        case "table":
            return charts.table(rows)
        case "state-timeline":
            return charts.states(lines, panel, now - seconds, now)
        case _:
            return charts.graph(lines, panel, now - seconds, now)


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
        parts, admin = urlsplit(self.path), base64.b64encode(f"admin:{self.password}".encode()).decode()
        status, body = 401, {"message": "Unauthorized"}
        if parts.path == "/api/health":
            status, body = 200, {"database": "ok", "version": "12.1.0", "commit": "stand-in"}
        elif self.headers["Authorization"] == f"Basic {admin}":
            status, body = self.grafana.answer(parts.path, dict(parse_qsl(parts.query)))
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
