"""The cluster under a live prod stack: what can befall its machines, and clients in a pod who notice."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proof.targets.cluster_audit import audit, await_recovery
from proof.targets.docker_target import cluster_of
from proof.targets.kubernetes_stack import OwnNamespace
from proof.targets.kubernetes_target import clients_in_a_pod
from proof.traffic.calls import Call, failed
from proof.traffic.clients import READ, WRITE
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import TrafficPod

GENTLE = Pace(read=40, search=0, ask=0, write=5, connections=8)


def befall(what: str, machine: str) -> None:
    """Let something happen to a machine of the sandbox: `off`, `on`, `cut`, `join`."""
    subprocess.run([sys.executable, "-m", "sandbox.kubernetes", what, machine], check=True)


class Seen:
    """What the clients have seen; complete when they have ended."""

    def __init__(self, clients: TrafficPod, ledger: Ledger) -> None:
        self._clients, self._ledger = clients, ledger

    def settle_in(self) -> float:
        """Wait until some more was read and written; returns the time."""
        self._clients.wait_for(50, READ)
        return self._clients.wait_for(5, WRITE)

    @property
    def failed(self) -> list[Call]:
        """Reads, and writes that were tried until patience ended."""
        return failed(self._clients.calls)

    def lost(self, stack: OwnNamespace) -> set[int]:
        """Acknowledged points that some replica misses, or has otherwise than they were written."""
        assert self._ledger.entries, "no write was acknowledged: nothing can have been lost, and nothing was tried"
        return audit(cluster_of(stack), self._ledger.entries).lost


@contextmanager
def clients(stack: OwnNamespace, machine: str = "") -> Iterator[Seen]:
    """Readers and writers in a pod on that machine, while the block runs and a little longer."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.jsonl") as ledger,
        clients_in_a_pod(stack, GENTLE, ledger, machine) as start_traffic,
    ):
        seen = Seen(start_traffic, ledger)
        seen.settle_in()
        yield seen
        seen.settle_in()


def wait_until_settled(stack: OwnNamespace, seconds: float = 180) -> None:
    """Wait for one settled cluster with every replica Active."""
    assert await_recovery(cluster_of(stack).degraded_reasons, seconds) == []
