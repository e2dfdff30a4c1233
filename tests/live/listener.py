"""A server of the tests that the stack's containers can reach, and that keeps what it is sent."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.live.conftest import LiveStack

Bodies = dict[str, list[bytes]]  # path -> what came there, as it came


@contextmanager
def listening(stack: LiveStack) -> Iterator[tuple[str, Bodies]]:
    """Its URL, by the address of the stack's own bridge, and what it was sent."""
    bodies: Bodies = defaultdict(list)

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' own output is for the tests."""

    [network] = stack.engine.networks.get(stack.prefix).attrs["IPAM"]["Config"]
    with ThreadingHTTPServer((network["Gateway"], 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{network['Gateway']}:{server.server_port}", bodies
        server.shutdown()
