"""The cluster under a live prod stack: what can befall its machines, and clients in a pod who notice."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from access.polling import poll, require_none
from proof.targets.cluster_audit import audit
from proof.targets.kubernetes_target import KubernetesTarget
from proof.targets.readiness import cluster_of
from proof.traffic.calls import Call, failed
from proof.traffic.clients import READ, WRITE
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from proof.traffic.traffic_pod import TrafficPod
from proof.traffic.waiting import wait_for_calls

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
        wait_for_calls(self._clients, 50, READ)
        return wait_for_calls(self._clients, 5, WRITE)

    @property
    def failed(self) -> list[Call]:
        """Reads, and writes that were tried until patience ended."""
        return failed(self._clients.calls)

    def lost(self, target: KubernetesTarget) -> set[int]:
        """Acknowledged points that some replica misses, or has otherwise than they were written."""
        assert self._ledger.entries, "no write was acknowledged: nothing can have been lost, and nothing was tried"
        return audit(cluster_of(target.stack), self._ledger.entries).lost


@contextmanager
def clients(target: KubernetesTarget, machine: str = "") -> Iterator[Seen]:
    """Readers and writers in a pod on that machine, while the block runs and a little longer."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.jsonl") as ledger,
        target.start_traffic(GENTLE, ledger, machine) as traffic,
    ):
        seen = Seen(traffic, ledger)
        seen.settle_in()
        yield seen
        seen.settle_in()


def wait_until_settled(target: KubernetesTarget, seconds: float = 180) -> None:
    """Wait for one settled cluster with every replica Active."""
    cluster = cluster_of(target.stack)
    poll(lambda: require_none(cluster.degraded_reasons()), seconds, expected="a settled cluster", consecutive=3)
