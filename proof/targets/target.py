"""What an experiment needs of the stack it is run on, whichever platform that stack is on."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from proof.targets.proof_stack import ProofStack
from proof.traffic.endpoints import Pace
from proof.traffic.ledger import Ledger
from proof.traffic.waiting import Clients


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A replica that runs; the one that replaces it has another id. `created` is an ISO 8601 time in UTC."""

    name: str
    id: str
    created: str


class Target(Protocol):
    """A stack under test on one platform."""

    stack: ProofStack

    def start_traffic(self, pace: Pace, ledger: Ledger) -> AbstractContextManager[Clients]:
        """Readers, writers, searchers and askers, which run while the block does."""

    def replicas(self) -> list[Replica]:
        """All replicas that run now; those without names of their own share one."""

    def trust_forwarded_addresses(self) -> None:
        """Let this machine name its clients' addresses, where the gateway limits each address."""

    def repair(self) -> None:
        """Recreate or restart whatever an experiment left broken."""

    def purge(self) -> None:
        """Remove all of it, data and secrets too."""


class PrerequisiteRefused(Exception):
    """A prerequisite cannot be met on this machine, or not be removed again; the text is what was found."""


def slot() -> int:
    """The number that keeps two checkouts on one machine apart."""
    return int(os.environ.get("RAG_TEST_SLOT", "0"))
