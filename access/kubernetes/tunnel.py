"""A port of a pod on this machine, through the cluster's API: for clients that know plain addresses only."""

import contextlib
import select
import socket
from threading import Lock, Thread
from urllib.parse import unquote, urlsplit

from access.kubernetes.replicas import SCHEME, running_pods

CHUNK_BYTES = 65536
_open: dict[str, str] = {}
_opening = Lock()


def local(url: str, port: int = 0) -> str:
    """A plain address for `kube://context/namespace/name:port`, good as long as this process; others are plain already.

    Each connection finds its pod anew, so that one that was replaced is found again; where it cannot be reached, the
    connection breaks off. `port` is the number on this machine, 0 for any; OSError when it is taken.
    """
    if urlsplit(url).scheme != SCHEME:
        return url
    with _opening:
        if url not in _open:
            listener = socket.create_server(("127.0.0.1", port))
            Thread(target=_serve, args=(listener, Target(url)), daemon=True).start()
            _open[url] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return _open[url]


class Target:
    """A port of a pod, or of any pod of a workload."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._context = unquote(parts.netloc)
        self._namespace, _, name = parts.path.strip("/").partition("/")
        self._name, _, port = name.partition(":")
        self._port = int(port)

    def connect(self) -> socket.socket:
        """A connection to it, by a client of its own, because `portforward` patches the client."""
        from kubernetes.stream import portforward

        from access.kubernetes import kube

        core = kube.core(self._context)
        pod = next(iter(running_pods(self._context, self._namespace, self._name)), self._name)
        forward = portforward(core.connect_get_namespaced_pod_portforward, pod, self._namespace, ports=str(self._port))
        connection: socket.socket = forward.socket(self._port)
        return connection


def _serve(listener: socket.socket, target: Target) -> None:
    while True:
        near, _ = listener.accept()
        Thread(target=_join, args=(near, target), daemon=True).start()


def _join(near: socket.socket, target: Target) -> None:
    with contextlib.closing(near), contextlib.suppress(Exception):  # its client sees that the connection breaks
        far = target.connect()
        with contextlib.closing(far):
            pump(near, far)


def pump(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    for end in (near, far):
        end.setblocking(True)
    while True:
        readable, _, _ = select.select([near, far], [], [])
        for source in readable:
            chunk = source.recv(CHUNK_BYTES)
            if not chunk:
                return
            (far if source is near else near).sendall(chunk)
