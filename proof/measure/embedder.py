"""An embedder that can be stopped: it speaks as Ollama does, and its vectors mean nothing."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from proof.traffic.vectors import signs


class StoppableEmbedder:
    """Listens on one address whenever it is not stopped; `asked` counts what reached it. A stand-in for Ollama."""

    def __init__(self, host: str, dimensions: int) -> None:
        self.asked = 0
        self._dimensions = dimensions
        self._address = (host, 0)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens; the same after it was stopped and started."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        """Listen, and answer. One connection for each call, so that none outlives a stop."""
        self._server = ThreadingHTTPServer(self._address, self._handler())
        self._address = (self._address[0], self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse every connection from now on."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        embedder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                embedder.asked += 1
                texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
                vectors = [signs(hash(text), embedder._dimensions) for text in texts]
                body = json.dumps({"embeddings": vectors}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """What is asked is counted, not printed."""

        return Handler
