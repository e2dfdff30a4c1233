"""Readers and writers through the balancer while a test does something to the stack; what they saw, what is lost."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from access.polling import poll, require_none
from proof.targets.cluster_audit import audit
from proof.targets.docker_target import DockerTarget
from proof.targets.proof_stack import ProofStack
from proof.targets.readiness import cluster_of
from proof.traffic.calls import Call, failed, of
from proof.traffic.clients import READ, WRITE
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from proof.traffic.waiting import wait_for_calls

GENTLE = Pace(read=20, search=0, ask=0, write=4, connections=10)


class Clients:
    """Run while their block does; after it, `reads` and `writes` are complete."""

    def __init__(self, stack: ProofStack) -> None:
        self._stack = stack
        self._folder = tempfile.TemporaryDirectory()
        self._ledger = Ledger(Path(self._folder.name) / "ledger.jsonl")
        self._traffic = DockerTarget(stack).start_traffic(GENTLE, self._ledger)

    def __enter__(self) -> Self:
        self._traffic.__enter__()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._traffic.__exit__()
        self._ledger.close()

    def settle_in(self, reads: int = 40) -> float:
        """Wait until there is something to compare with; returns the time."""
        return wait_for_calls(self._traffic, reads, READ)

    @property
    def reads(self) -> list[Call]:
        return of(self._traffic.calls, READ)

    @property
    def writes(self) -> list[Call]:
        return of(self._traffic.calls, WRITE)

    @property
    def failed_reads(self) -> list[Call]:
        return failed(self.reads)

    def lost(self) -> set[int]:
        """Acknowledged points that some replica misses, or has otherwise than they were written."""
        entries = self._ledger.entries
        assert entries, "no write was acknowledged: nothing can have been lost, and nothing was tried"
        return audit(cluster_of(self._stack), entries).lost


def wait_until_settled(stack: ProofStack, seconds: float = 120) -> None:
    """Wait for one settled cluster with every replica Active."""
    cluster = cluster_of(stack)
    poll(lambda: require_none(cluster.degraded_reasons()), seconds, expected="a settled cluster", consecutive=3)
