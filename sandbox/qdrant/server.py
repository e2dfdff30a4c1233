"""The stand-in for a Qdrant node: `python server.py --uri http://qdrant-0:6335 [--bootstrap http://qdrant-1:6335]`."""

from __future__ import annotations

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

import admin
import points
import rest
import wire
from caretaker import Caretaker
from node import Node
from wire import Failure

DRAIN_SECONDS, GOODBYE_SECONDS, JOIN_SECONDS = 30.0, 0.3, 15.0


class Config:
    """A setting is the environment's `QDRANT__SECTION__KEY`, else what `config/local.yaml` says; empty counts as not set."""

    def __init__(self) -> None:
        local = Path("config/local.yaml")
        self._file = (yaml.safe_load(local.read_text()) if local.exists() else None) or {}

    def get(self, *path: str, default: Any = None) -> Any:
        found = self._file
        for key in path:
            found = (found or {}).get(key)
        return os.environ.get("__".join(("QDRANT", *path)).upper()) or found or default


class Http(uvicorn.Server):
    """A web server that leaves signals to us: a real node goes on answering on connections that clients keep."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def drain(self) -> None:
        for listener in self.servers:
            listener.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        await asyncio.sleep(GOODBYE_SECONDS)
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.1)


def fail(reason: str) -> None:
    """Exits as the real one does when it can neither found nor join a cluster."""
    print(f"ERROR qdrant stand-in: {reason}", file=sys.stderr, flush=True)
    os._exit(101)


async def enter(node: Node, uri: str, bootstrap: str | None) -> bool:
    """Restores this node's place in its cluster, or joins one, or founds one; true when it has just joined."""
    if node.raft.exists:
        node.raft.load()
        if node.metadata.peers[node.me].uri != uri:
            await announce(node, uri, [peer.uri for n, peer in node.metadata.peers.items() if n != node.me])
    elif bootstrap is None or bootstrap == uri:
        node.raft.found(uri)
    else:
        await announce(node, uri, [bootstrap])
        return True
    return False


async def announce(node: Node, uri: str, known: list[str]) -> None:
    for address in known:
        with contextlib.suppress(ConnectionError):
            try:
                peers = await node.peers.ask(address, "join", {"peer": node.me, "uri": uri}, JOIN_SECONDS)
            except Failure as failure:
                reason = f"cannot join through {address}: {failure.text}"
            ...
