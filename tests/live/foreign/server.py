"""Somebody's own notes service: it knows its port, its health path and nothing of this platform."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Notes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            return self._stream()
        if self.path == "/metrics":
            return self._answer("# TYPE notes_total counter\nnotes_total 3\n", "text/plain; version=0.0.4")
        found: dict[str, Any] = {"path": self.path, "headers": dict(self.headers), "by": os.environ.get("BY", "")}
        if "SEES" in os.environ:
            found["sees"] = os.environ["SEES"]
        return self._answer(json.dumps(found), "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(json.dumps({"bytes": len(body)}), "application/json")

    def do_HEAD(self) -> None:
        self._answer("", "application/json")

    def _answer(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        """Three events, half a second between them: a proxy that buffers delivers them all at the end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.5)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    ThreadingHTTPServer(("0.0.0.0", port), Notes).serve_forever()
