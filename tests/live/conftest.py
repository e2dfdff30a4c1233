"""The live stack: dev's settings under other names and ports, so that nobody's own stack is touched."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import pytest

from ops.preflight import connect_engine
from ops.stack import OperatorError, alone
from proof.targets.docker_target import DockerTarget
from proof.targets.proof_stack import ProofStack
from tests.live.hammer import Hammer

# Two checkouts of one machine test beside each other when one of them sets RAG_TEST_SLOT=1 (or 2, …).
SLOT = int(os.environ.get("RAG_TEST_SLOT", "0"))
PREFIX = f"rag-test{SLOT or ''}"
FIRST_PORTS = {
    "qdrantHttpPort": 26333,
    "qdrantGrpcPort": 26334,
    "qdrantStatisticsPort": 28404,
    "qdrantNodePort": 26343,
    "gatewayHttpPort": 28000,
    "gatewayHttpsPort": 28443,
    "gatewayAdminPort": 28001,
    "observabilityPrometheusPort": 29090,
    "observabilityGrafanaPort": 23001,
    "observabilityAlertmanagerPort": 29093,
    "ragIngestPort": 28201,
}
PORTS = {key: port + 1000 * SLOT for key, port in FIRST_PORTS.items()}


@dataclass
class LiveStack(ProofStack):
    """A running stack, and what its first `up` looked like from outside."""

    hammered: dict[str, int] = field(default_factory=dict)

    @cached_property
    def target(self) -> DockerTarget:
        return DockerTarget(self)

    @property
    def engine(self) -> docker.DockerClient:
        return self.target.engine

    def container(self, replica: str) -> Any:
        return self.target.container(replica)


@pytest.fixture(scope="session")
def stack() -> Iterator[LiveStack]:
    """Up before the first live test, hammered without a token meanwhile; gone after the last."""
    live = live_stack()
    try:
        connect_engine()
    except OperatorError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the live tests must run here: {error}")
        pytest.skip(str(error))
    # Held while the tests' stack is used: what runs of it when nobody holds this, in any checkout, was left behind.
    lock = Path(tempfile.gettempdir(), f"{PREFIX}.lock")
    others = (
        f"expected no other live tests on this machine, found some that use the stack {PREFIX}; wait for them, or set "
        "RAG_TEST_SLOT=1 here"
    )
    with alone(lock, others):
        live.target.purge()
        with Hammer(f"http://127.0.0.1:{PORTS['gatewayHttpPort']}/api/v1/rag/search") as hammer:
            live.up()
            hammer.seen_at_least("401", 50)
        live.hammered = hammer.answers
        yield live
        live.down(purge=True)


def live_stack() -> LiveStack:
    """The stack of the live tests, as yet only described."""
    return LiveStack.described("test", "dev", PREFIX, **{key: str(port) for key, port in PORTS.items()})
