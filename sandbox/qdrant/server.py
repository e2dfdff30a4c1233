"""A stand-in for one Qdrant node: `python server.py --uri http://qdrant-0:6335 [--bootstrap http://qdrant-1:6335]`."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from sandbox.qdrant import admin, points, rest, snapshots, wire
from sandbox.qdrant.caretaker import Caretaker
from sandbox.qdrant.node import JOIN_SECONDS, Node

DRAIN_SECONDS, GOODBYE_SECONDS, CANNOT_JOIN = 30.0, 0.3, 101
EVERYWHERE = "0.0.0.0"  # noqa: S104  inside a container


def setting(*path: str, default: Any = None) -> Any:
    """`QDRANT__SECTION__KEY` of the environment, else of config/local.yaml; an empty one is not set."""
    file = Path("config/local.yaml")
    found: Any = yaml.safe_load(file.read_text()) if file.exists() else None
    for key in path:
        found = (found or {}).get(key)
    return os.environ.get("__".join(("QDRANT", *path)).upper()) or found or default


class Http(uvicorn.Server):
    """A web server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def drain(self) -> None:
        """Accepts no new connection, and serves the open ones for a while."""
        for listener in self.servers:
            listener.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        await asyncio.sleep(GOODBYE_SECONDS)
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.1)


async def enter(node: Node, uri: str, bootstrap: str | None) -> bool:
    """Takes this node's place in the cluster it knows, else joins one, else founds one; true if it has just joined."""
    if node.raft.load():
        return False
    if bootstrap in (None, uri):
        node.raft.found(uri)
        return False
    try:
        await node.peers.ask(str(bootstrap), "join", {"peer": node.raft.me, "uri": uri}, JOIN_SECONDS)
    except wire.ServiceError as error:
        print(f"ERROR qdrant stand-in: cannot join through {bootstrap}: {error}", file=sys.stderr)
        sys.exit(CANNOT_JOIN)
    node.raft.save()
    return True


async def main(uri: str, bootstrap: str | None) -> None:
    storage = Path(setting("storage", "storage_path", default="./storage"))
    storage.mkdir(parents=True, exist_ok=True)
    node = Node(storage, clustered=str(setting("cluster", "enabled")).lower() == "true")
    caretaker = Caretaker(node, storage, await enter(node, uri, bootstrap if node.clustered else None))
    keys = rest.Keys(setting("service", "api_key"), setting("service", "read_only_api_key"))
    reads, writes = (points.READS | admin.READS | snapshots.READS, points.WRITES | admin.WRITES | snapshots.WRITES)
    app = rest.app(node, caretaker, keys, reads, writes)
    http_port = int(setting("service", "http_port", default=6333))
    idle_seconds = int(setting("service", "http_keep_alive_timeout_sec", default=5))
    http = Http(uvicorn.Config(app, EVERYWHERE, http_port, timeout_keep_alive=idle_seconds, log_level="warning"))
    grpc_port = int(setting("service", "grpc_port", default=6334))
    listeners = [await asyncio.start_server(lambda _, writer: writer.close(), EVERYWHERE, grpc_port)]
    if node.clustered:
        listeners.append(await wire.serve(int(setting("cluster", "p2p", "port", default=6335)), node.answer))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    work = [asyncio.create_task(task) for task in (node.raft.run(), caretaker.run(), caretaker.flush())]
    other = [asyncio.create_task(task) for task in (http.serve(), stop.wait())]
    ended, _ = await asyncio.wait([*work, *other], return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()  # whatever ends by itself ends the node, with its reason
    node.draining = True
    for task in work:
        task.cancel()
    caretaker.stop()
    for listener in listeners:
        listener.close()
    await http.drain()
    os._exit(0)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="qdrant")
    arguments.add_argument("--uri", default="http://127.0.0.1:6335")
    arguments.add_argument("--bootstrap")
    given = arguments.parse_args()
    asyncio.run(main(given.uri.rstrip("/"), given.bootstrap and given.bootstrap.rstrip("/")))
